"""What each shown quantity means: one dictionary, behind every term that can be asked about.

`DEFINITIONS[key]` is shown where the term stands (a popover) and on `/definitions#key`. The words
follow docs/evidence.md; `source` is the anchor of its section there.
"""

from __future__ import annotations

from server.definition import Definition
from server.study_definitions import STUDY_DEFINITIONS
from store.records import ABOVE_NULL

_UNIT = "activation"

DEFINITIONS: dict[str, Definition] = {
    "version": Definition(
        "version",
        "",
        "One neuron in one of the two models of a pair. The models saw the same batches in the "
        "same order and differ in their activation function; left is blue, right is orange.",
    ),
    "site": Definition(
        "site",
        "",
        "Where an activation is read. pre: before the nonlinearity (W_in·x + b_in). mid: after "
        "SoLU and before its LayerNorm (SoLU only). post: what W_out reads.",
        source="sites",
    ),
    "display_site": Definition(
        "display site",
        "",
        "The site that ranks examples: mid for an activation with a LayerNorm after it (SoLU), "
        "post for all others.",
        source="display-site",
    ),
    "verification": Definition(
        "verification",
        "",
        "A sample of a run's versions recomputed by brute force (twinscope verify): the library's "
        "own model over the whole corpus, whole forward passes for ablations. An error is a "
        "difference in parts of what is allowed for that value; above 1 it is wrong.",
        source="verification",
    ),
    "n": Definition(
        "tokens",
        "tokens",
        "Tokens of the corpus that every statistic is of. The first token of a window (BOS) and "
        "padding are left out, nothing else is.",
        source="unmasked-tokens",
    ),
    "activation": Definition(
        "activation",
        "",
        "A scalar: the neuron's value at one site, one token. Its unit is the model's own; the "
        "two models' units need not agree.",
        source="sites",
    ),
    "mean": Definition("mean", _UNIT, "Mean over all tokens at this site.", "μ = E[z]", "mean"),
    "std": Definition(
        "standard deviation", _UNIT, "Of the population, over all tokens.", "σ = √E[(z−μ)²]", "std"
    ),
    "skewness": Definition(
        "skewness",
        "",
        "Asymmetry of the distribution: above zero where the tail is towards high activations.",
        "E[((z−μ)/σ)³]",
        "skewness",
    ),
    "kurtosis": Definition(
        "kurtosis",
        "",
        "Weight of the tails. A normal distribution has 3; hundreds mean that the neuron is near "
        "its mean almost always, and far from it on few tokens.",
        "E[((z−μ)/σ)⁴]",
        "kurtosis",
    ),
    "min": Definition("minimum", _UNIT, "The lowest activation over all tokens.", "", "min"),
    "max": Definition("maximum", _UNIT, "The highest activation over all tokens.", "", "max"),
    "density": Definition(
        "density",
        "share of tokens",
        "How often the neuron is on: the share of tokens whose activation lies above a tenth of "
        "the way from the mean to the maximum.",
        "P(z > μ + 0.1·(max − μ))",
        "density",
    ),
    "histogram": Definition(
        "histogram",
        "tokens",
        "Counts over all tokens, on a logarithmic scale, in bins that are the same for every "
        "neuron; both versions share the axes. The horizontal axis is linear around zero and "
        "logarithmic further out. The filled curve is the display site. The shaded part is all "
        "that the top examples show.",
        source="histogram",
    ),
    "band": Definition(
        "band",
        "",
        "A range of quantiles of the display site. Top: the highest token of each of the 20 "
        "documents in which it is highest. Between: five tokens drawn by chance from each range. "
        "Bottom: the five most negative.",
        source="examples",
    ),
    "colour": Definition(
        "colours of tokens",
        "",
        "Green above zero, purple below; the depth follows the square root of the activation, so "
        "that weak ones can be seen. Where both columns show the same site they share one scale. "
        "SoLU's mid and GeLU's post have no common unit (mid is a product with a softmax and can "
        "be a hundred times smaller), so there each colour is a share of the version's largest.",
    ),
    "lifted": Definition(
        "lifted",
        "",
        "Tokens on which SoLU's output lies below its median, but its LayerNorm makes the "
        "activation large: what a ranking by mid never shows.",
        source="band-lifted",
    ),
    "quantile": Definition(
        "quantile",
        "share of tokens",
        "The share of all tokens on which that version is less active than here; 50 % is its "
        "median. A top example of one version at a middling quantile of the other is a token on "
        "which the two disagree.",
        source="quantile",
    ),
    "correlation": Definition(
        "correlation",
        "",
        "Pearson correlation of the two neurons' activations (display sites) over the token "
        "sample: the same tokens for both, drawn by chance from the whole corpus.",
        "ρ",
        "correlation",
    ),
    "same_index": Definition(
        "same index",
        "",
        "The neuron with the same layer and number in the other model. The two models began from "
        "the same weights, so that the same index is a hypothesis, to be judged by its "
        "correlation and its rank among all neurons of the layer.",
        source="same-index-correlation",
    ),
    "best_match": Definition(
        "best match",
        "",
        "The neuron of the other model's same layer with the highest correlation. Mutual: each "
        "is the other's best.",
        source="best-match",
    ),
    "null": Definition(
        "random basis",
        "",
        "The highest correlation with the other model's layer after a random rotation: what a "
        "best match reaches when neurons mean nothing in particular. A match counts for what it "
        "has above this.",
        "max ρ with a random orthogonal basis",
        "null-correlation",
    ),
    "assignment": Definition(
        "one-to-one match",
        "",
        "The partner when each neuron of the layer gets exactly one, such that the sum of "
        "correlations is highest.",
        source="assignment",
    ),
    "cka": Definition(
        "CKA",
        "",
        "Linear centred kernel alignment of the whole layer: how alike the two models' layers are "
        "as spaces, whatever their neurons. 1: the same up to rotation and scale.",
        source="cka",
    ),
    "similar": Definition(
        "similar neurons",
        "",
        "The five neurons of the same model and layer with the highest correlation.",
        source="similar-neurons",
    ),
    "logit_effects": Definition(
        "logit effects",
        "logits per unit of activation",
        "What the neuron adds to each token's logit when it is on, along the direct path: its "
        "output weights times the unembedding, the final LayerNorm's weights folded in.",
        "W_out[neuron]·W_U",
        "logit-effects",
    ),
    "label": Definition(
        "label",
        "",
        "A person's verdict: monosemantic (80 % or more of what it responds to is one rule or "
        "category), polysemantic, unclear or dead. History is kept; each person's latest counts.",
        source="verdict",
    ),
    "token_sample": Definition(
        "token sample",
        "tokens",
        "32,768 tokens drawn by chance from the whole corpus (all of them, where there are fewer), "
        "the same for all neurons and both versions. Bands below the top and correlations are "
        "of these.",
        source="token-sample",
    ),
    "loss": Definition(
        "loss",
        "nats a token, bits a byte",
        "Cross-entropy on held-out documents, which neither statistics nor the training of pairs "
        "made here ever saw; what models of a hub were trained on is not known. Bits a byte can "
        "be compared between tokenizers.",
        source="loss",
    ),
    "excess": Definition(
        "excess over the null",
        "",
        f"Best correlation minus what a random basis reaches. Below {ABOVE_NULL}: the best match "
        "is no better than a random direction.",
        "max ρ − max ρ with a random orthogonal basis",
        "excess",
    ),
    "hidden_share": Definition(
        "hidden share",
        "share of effect",
        "The share of a version's effect that lies on tokens where its display site is below its "
        "own 99.9 % quantile: what a page of strong examples does not show. Exact where both parts "
        "were ablated in true forward passes, else an estimate with its measured error.",
        "H(q) = effect where z is below its q-quantile ÷ effect; shown is q = 99.9 %",
        "hidden-share",
    ),
    "hidden_curve": Definition(
        "hidden share at every quantile",
        "share of effect",
        "H(q) for all q, each version over its own quantiles, so that activations without a common "
        "unit can be drawn together. Dotted: what it would be if every token had the same effect. "
        "The axis is stretched towards the strongest tokens.",
        source="hidden-share",
    ),
    "effect": Definition(
        "effect",
        "nats a token",
        "How far the model's predictions move (KL divergence, mean over the evidence tokens) when "
        "this version is held at its mean.",
        "KL(p ‖ p with z_post := E[z_post])",
        "effect",
    ),
    "effect_mass": Definition(
        "effect-weighted histogram",
        "share of effect",
        "Where the version's effect is, over the same axis as its activations: the height is the "
        "share of its effect in each stretch of the axis. Strong activations may carry little of "
        "it, being rare.",
        "F(t) = ½·δ(t)²·E[(∂ log p(ŷ)/∂z(t))²], δ = z_post − E[z_post]",
        "effect-histogram",
    ),
    "exact": Definition(
        "exact",
        "",
        "Measured by true forward passes with the version's low activations, and its high ones, "
        "held at the mean. The interval is a 95 % bootstrap over token windows.",
        "H = KL_low / (KL_low + KL_high)",
        "exact-ablation",
    ),
    "estimate": Definition(
        "estimate",
        "",
        "A second-order estimate of what an ablation would give, here for want of an exact value. "
        "Its error is the mean absolute difference from exact values, measured on neurons of the "
        "same layer. Its bias differs between activation functions, so an estimate is never set "
        "against an exact value.",
        source="estimate-error",
    ),
    "joint_density": Definition(
        "through the LayerNorm",
        "tokens",
        "How often each pair of values before (mid) and after (post) the LayerNorm occurs. A "
        "LayerNorm divides by the spread of the whole layer, so a small mid can become a large "
        "post on a token where all neurons are quiet.",
        source="through-the-layernorm",
    ),
    "polysemanticity": Definition(
        "polysemanticity score",
        "",
        "A heuristic: how far apart two groups of the version's contexts lie, in the band where "
        "they lie furthest apart. 0: one point; 1: at right angles; 2: opposite. It sees that "
        "contexts differ, not that meanings do: one idea in many unlike contexts scores high, and "
        "so do contexts that have nothing in common.",
        "1 − cos(a, b), a and b the centroids of 2-means on whitened contexts",
        "polysemanticity",
    ),
    "sense": Definition(
        "sense",
        "share of clustered contexts",
        "A group of the version's strong contexts that lies apart from the others; often one. Its "
        "band is the one in which it is most common beside the others. What it means is for the "
        "reader of its examples to say.",
        source="senses",
    ),
    "token_entropy": Definition(
        "token entropy",
        "nats",
        "Of the tokens in focus in the top examples: 0 when all are one token, 3 when 20 examples "
        "have 20 tokens.",
        "−Σ p·ln p",
        "polysemanticity",
    ),
    "max_token_share": Definition(
        "largest token share",
        "share of top examples",
        "The share of the top examples that have the most frequent token in focus.",
        source="polysemanticity",
    ),
    "token_variance_explained": Definition(
        "variance explained by the token",
        "share of variance",
        "How much of the activation's variance is known from the current token alone, without its "
        "context, over the token sample; less what as many kinds of tokens explain by chance.",
        "adjusted R² of z on the token, 0 where below",
        "polysemanticity",
    ),
    "candidate": Definition(
        "candidate invisible feature",
        "",
        "A direction of the layer's MLP output with more effect than 95 % of random directions "
        "like it, found on tokens where no single neuron is strong. A candidate, not a finding: "
        "its page shows what speaks for it.",
        source="candidates",
    ),
    "carrier_share": Definition(
        "share of the direction",
        "share of the direction's output",
        "How much of a candidate's output, on the tokens where it is found, comes from this "
        "neuron. Negative: the neuron works against it.",
        source="candidates",
    ),
    "counterexample": Definition(
        "counterexample",
        "",
        "A context that speaks against what the top examples suggest: strong but unlike all of "
        "them; silent where their token predicts firing; or a corpus window in which one token "
        "was changed, read again by the model.",
        source="counterexamples",
    ),
    "context_distance": Definition(
        "distance",
        "",
        "Cosine distance to the nearest top example, between whitened contexts (the residual "
        "stream that the MLP reads): 0 the same, 1 nothing in common.",
        "1 − cos",
        "counterexamples",
    ),
    "loss_difference": Definition(
        "loss difference",
        "nats a token, bits a byte",
        "Loss of one model minus loss of the other on the same held-out tokens; below zero the "
        "first predicts better. The interval is a 95 % bootstrap over documents, both models' "
        "losses of a document drawn together.",
        "Σ (nats of the one − nats of the other) ÷ tokens",
        "tax",
    ),
    "layer_effect": Definition(
        "effect of the layer",
        "nats a token",
        "How far the model's predictions move (KL divergence, mean over the evidence tokens) when "
        "every neuron of the layer is held at its mean at once.",
        "KL(p ‖ p with all z_post := E[z_post])",
        "layer-panel",
    ),
    "loss_recovered": Definition(
        "loss recovered",
        "share of what the layer does for the loss",
        "Only the highest activations of each neuron are kept (by its own quantile), the others "
        "held at their mean. 0: the loss is as with the whole layer held at its mean; 100 %: as "
        "with the layer untouched.",
        "(CE_ablated − CE_kept) ÷ (CE_ablated − CE)",
        "kept",
    ),
    "orphan_effect": Definition(
        "orphan effect",
        "share of the layer's effect",
        "The share of the layer's effect that falls on tokens where no neuron of the layer "
        "exceeds its own 99.9 % quantile: tokens that no page of strong examples shows. The "
        "interval is a 95 % bootstrap over token windows.",
        source="orphan-effect",
    ),
    "rescue": Definition(
        "rescue by the LayerNorm",
        "share of the layer's effect",
        "The layer's effect by decile of the standard deviation before its LayerNorm. The "
        "LayerNorm divides by it, so in the lowest deciles small activations are made large. A "
        "tenth in each would say that it does not matter.",
        source="ln-rescue",
    ),
    "median": Definition(
        "median over neurons",
        "",
        "Half of the layer's neurons lie below. The bar holds the middle half of them, the line "
        "the middle nine tenths. The interval covers the median of such neurons on these windows "
        "with 95 %, whatever the distribution (order statistics).",
        source="median",
    ),
    "wilson": Definition(
        "Wilson interval",
        "",
        "A 95 % interval of a share that is counted: shares of as many draws would lie as far "
        "away as the counted one does in one case of twenty. It stays within 0 and 100 % and is "
        "sound for few labels.",
        source="wilson",
    ),
    "control": Definition(
        "control",
        "",
        "A third model of the pair, with the left one's activation function and no LayerNorm "
        "after it: the model in which SoLU's cost has been reported.",
        source="tax",
    ),
    "layer_quantile": Definition(
        "place in the layer",
        "share of neurons",
        "The part of the layer's other neurons on the same side whose hidden share (or score) is "
        "lower. Between 0.1 and 0.9 it is called usual; outside, it is set bold.",
        source="layer-quantile",
    ),
    "twin": Definition(
        "has a twin",
        "share of neurons",
        "The best match in the other model is mutual and above what a random basis reaches by "
        f"{ABOVE_NULL} at least: as far as correlation goes, the same neuron. Between layers that "
        "have nothing to do with each other next to none has a twin by this; without that margin a "
        "third would.",
        f"mutual and excess ≥ {ABOVE_NULL}",
        "twin",
    ),
    "candidate_effect": Definition(
        "effect of a candidate",
        "nats a token",
        "How far the predictions move (KL divergence) when the layer's output is held at its mean "
        "along this direction, on documents that the search did not see.",
        source="candidates",
    ),
    "random_quantile": Definition(
        "beats random directions",
        "share of random directions",
        "The share of random directions, drawn such that the layer's output varies as much along "
        "each, whose ablation does less on the same tokens.",
        source="candidates",
    ),
    "participation": Definition(
        "participation",
        "neurons",
        "How many neurons carry the direction, counted by their shares: 1 when one neuron carries "
        "it alone, n when n carry it alike.",
        "(Σc)² ÷ Σc²",
        "candidates",
    ),
    "token_share": Definition(
        "share of tokens",
        "share of the tokens searched",
        "The tokens on which the candidate was found: the layer has much effect there, no neuron "
        "exceeds its 99.9 % quantile, and the layer's output points this way.",
        source="candidates",
    ),
    "projection": Definition(
        "projection",
        "activation",
        "The layer's MLP output along the candidate's direction, less its mean: what takes the "
        "place of an activation for a feature that is no neuron.",
        "(output − mean)·direction",
        "candidates",
    ),
    "token_mean": Definition(
        "mean on the token",
        _UNIT,
        "Mean of the display site over the tokens of the run's token sample that are this one. Of "
        "a token seen once it is that one value; of a few it says little.",
        source="token-search",
    ),
    "token_max": Definition(
        "maximum on the token",
        _UNIT,
        "The highest activation of the display site on this token in the run's token sample.",
        source="token-search",
    ),
    "token_sd": Definition(
        "in standard deviations (σ)",
        "standard deviations of the version",
        "How far that lies above the version's own mean, in its own standard deviations, both over "
        "the whole sample: the unit in which versions with activations of any size can be "
        "compared. Lists are ordered by it.",
        "(value − μ) ÷ σ",
        "token-search",
    ),
    "token_twin": Definition(
        "the other version",
        "standard deviations of that version",
        "What the other model's version of the same index has on this token; – where it is not "
        "among the highest of its layer, so that the index does not hold it.",
        source="token-search",
    ),
    "token_kept": Definition(
        "the highest of each layer",
        "",
        "The index keeps, of each layer of each version and for each token, the 20 with the "
        "highest mean and the 20 with the highest maximum. What is lower is not listed.",
        source="token-search",
    ),
    **STUDY_DEFINITIONS,
}
