"""A sampler for studies in which everything but perplexity is known before training.

The rooms, in the order a proposal walks through them: `domain` draws points of the space and says what is known
of them, `features` describes a candidate in numbers, `history` reads the study's trials and chooses those that a
model is fitted on, `model` predicts perplexity, finishing and seconds, `improvement` turns a prediction and exact
costs into expected hypervolume, `sampler` is the Optuna sampler that does it all.
"""
