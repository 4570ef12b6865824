"""From the proxy to the size that counts: what may be on the front is trained again at larger sizes.

`forecast` predicts perplexity at one stage from the stages below.
"""
