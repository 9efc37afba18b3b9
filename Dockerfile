# One image for the server, `twinscope db upgrade` and the precompute.
#
#   docker build -t twinscope .
#
# TORCH is the requirement that is installed, TORCH_INDEX_URL the index it is taken from: leave it
# empty for pip's own, or give the address of PyTorch's index for CPU or for a version of CUDA.
ARG PYTHON_VERSION=3.11
FROM python:${PYTHON_VERSION}-slim

ARG TORCH="torch==2.13.*"
ARG TORCH_INDEX_URL=""

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore

RUN groupadd --gid 10001 twinscope \
 && useradd --uid 10001 --gid twinscope --create-home twinscope \
 && install --directory --owner=twinscope --group=twinscope /data

# The largest layer first: it changes only with TORCH.
RUN pip install ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} "$TORCH"

# Then everything else that pyproject.toml names, before the code, so that a change of code does
# not install it again: the packages are empty here.
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN mkdir twinscope store worker server \
 && touch twinscope/__init__.py store/__init__.py worker/__init__.py server/__init__.py \
 && grep -v '^torch' constraints.txt > kept.txt \
 && pip install -c kept.txt -e . \
 && rm kept.txt

COPY . .

# Numba keeps its compiled kernels beside the runs, since the user may not write to /app.
ENV TWINSCOPE_DATA_DIR=/data \
    NUMBA_CACHE_DIR=/data/numba \
    TWINSCOPE_BEHIND_PROXY=1
USER twinscope
VOLUME /data
EXPOSE 8000

HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]

CMD ["twinscope", "serve", "--host", "0.0.0.0", "--port", "8000"]
