"""The boundary: Hydra and OmegaConf come in here, frozen dataclasses go on.

Nothing outside this folder sees a DictConfig.
"""
