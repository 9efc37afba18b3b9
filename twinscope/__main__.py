"""``python -m twinscope`` is the command ``twinscope``."""

from twinscope.app import main

if __name__ == "__main__":
    main()
