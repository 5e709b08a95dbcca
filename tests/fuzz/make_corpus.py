#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the seeds in corpus/ (standard library and the zstd program): small valid files of every kind and a few that
break one rule, out of tests/data/checkpoint.

    python3 make_corpus.py
"""
import json
import struct
import subprocess
import zipfile
from pathlib import Path

here = Path(__file__).parent
tests = here.parent
data = tests / "data" / "checkpoint"


def write(target, name, content):
    folder = here / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def safetensors(header, body=b""):
    text = header if isinstance(header, str) else json.dumps(header)
    return struct.pack("<Q", len(text)) + text.encode() + body


for name in ("single.pt", "nested.pt", "big_endian.pt", "parameters.pt", "views.pt", "protocol4.pt"):
    content = (data / name).read_bytes()
    write("torch", name, content)
    write("zip", name, content)
for name in ("dtypes.pt", "views.pt", "wrapper.pt", "parameters.pt", "module.bin", "protocol4.pt", "whole_module.pt"):
    with zipfile.ZipFile(data / name) as archive:
        member = next(n for n in archive.namelist() if n.endswith("data.pkl"))
        write("pickle", name + ".pkl", archive.read(member))
write("pickle", "system.pkl", b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.")
write("pickle", "stack_global.pkl", b"\x80\x04\x8c\x02os\x8c\x06system\x93)R.")
write("pickle", "cycle.pkl", b"\x80\x02]q\x00h\x00a.")
write("pickle", "numbers.pkl", b"\x80\x02}(K\x01M\x02\x00J\x03\x00\x00\x00G@\x04\x00\x00\x00\x00\x00\x00\x8a\x01\x05Nu.")

for level, name in ((3, "module.bin"), (19, "single.pt")):
    packed = subprocess.run(["zstd", "-q", f"-{level}", "-c", data / name], check=True, capture_output=True).stdout
    write("zstd", name + ".zst", packed)
piped = subprocess.run(["zstd", "-q", "-c"], input=b"no size, no name", check=True, capture_output=True).stdout
write("zstd", "piped.zst", piped)
write("zstd", "two_frames.zst", piped + b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc" + piped)
write("zstd", "raw.zst", b"\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello")
write("zstd", "repeat.zst", b"\x28\xb5\x2f\xfd\x60\x2c\x00\x63\x09\x00z")

entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
write("safetensors", "one", safetensors({"a": entry}, bytes(8)))
write("safetensors", "several", safetensors(
    {"__metadata__": {"format": "pt"}, "a": entry, "b": {"dtype": "BF16", "shape": [], "data_offsets": [8, 10]},
     "c": {"dtype": "F8_E4M3", "shape": [3, 1], "data_offsets": [10, 13]},
     "d": {"dtype": "U8", "shape": [0, 7], "data_offsets": [13, 13]}}, bytes(13)))
write("safetensors", "gap", safetensors({"a": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]}}, bytes(2)))
write("safetensors", "duplicate", safetensors('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},'
                                              '"\\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'))
write("safetensors", "overflow", safetensors(
    {"a": {"dtype": "F64", "shape": [1 << 32, 1 << 32], "data_offsets": [0, 8]}}, bytes(8)))

write("shard_index", "torch.json", (data / "pytorch_model.bin.index.json").read_bytes())
write("shard_index", "minimal.json", json.dumps({"weight_map": {"a": "m-00001-of-00001.safetensors"}}))
write("shard_index", "path.json", json.dumps({"weight_map": {"a": "../m.safetensors"}}))
write("shard_index", "odd.json", '\ufeff{"metadata":{"total_size":18446744073709551615,"x":[[]]},"weight_map":{"a":1}}')

config = json.loads((here.parent.parent / "resources" / "demo" / "moa" / "config.json").read_text())
write("config", "moa.json", json.dumps(config, indent=1))
write("config", "empty.json", "{}")
write("config", "deep.json", "[" * 100 + "]" * 100)
for key in list(config)[:6]:
    write("config", f"without_{key}.json", json.dumps({k: v for k, v in config.items() if k != key}))
write("config", "wrong_types.json", json.dumps({k: [v] for k, v in config.items()}))
write("config", "large.json", json.dumps({k: 1 << 62 if isinstance(v, int) else v for k, v in config.items()}))
kotodama = {"model_type": "kotodama", "hidden_size": 512, "num_layers": 28, "num_attention_heads": 4, "num_kv_heads": 2, "head_dim": 128,
            "intermediate_size": 1408, "vocab_size": 49152, "max_position_embeddings": 4096, "rope_theta": 500000, "qk_norm": True,
            "tie_word_embeddings": True, "attn_res": True, "attn_res_boundaries": [0, 3, 7, 12, 21, 25]}
qwen2 = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu", "hidden_size": 8, "num_hidden_layers": 1,
         "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 12, "vocab_size": 10, "max_position_embeddings": 32,
         "rms_norm_eps": 1e-6, "rope_theta": 1e6, "tie_word_embeddings": True, "use_sliding_window": False, "torch_dtype": "bfloat16"}
write("config", "kotodama.json", json.dumps(kotodama))
write("config", "kotodama_boundaries.json", json.dumps({"num_layers": 3, "attn_res_boundaries": [0, 2, 2, -1, 1 << 40]}))
write("config", "qwen2.json", json.dumps(qwen2))
newer = {k: v for k, v in qwen2.items() if k != "rope_theta"} | {"rope_parameters": {"full_attention": {"rope_theta": 1e4, "rope_type": "default"}}}
write("config", "qwen2_newer.json", json.dumps(newer | {"layer_types": ["full_attention"], "dtype": "float16"}))
write("config", "qwen2_scaled.json", json.dumps(qwen2 | {"rope_scaling": {"type": "yarn", "factor": 4.0}, "quantization_config": {"quant_method": "gptq"}}))
write("config", "generation.json", json.dumps({"eos_token_id": [1, 2], "temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.05, "do_sample": True, "max_new_tokens": -1}))


# GGUF: number types as in the format's description
def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def value(v):
    if isinstance(v, bool):
        return struct.pack("<IB", 7, v)
    if isinstance(v, int):
        return struct.pack("<II", 4, v)
    if isinstance(v, float):
        return struct.pack("<If", 6, v)
    if isinstance(v, str):
        return struct.pack("<I", 8) + text(v)
    kind, element = (8, text) if isinstance(v[0], str) else (5, lambda n: struct.pack("<i", n))
    return struct.pack("<IIQ", 9, kind, len(v)) + b"".join(map(element, v))


def gguf(metadata, tensors, data=None, version=3):
    """Tensors: name, dimensions (fastest first), type number, bytes."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    head += b"".join(text(k) + value(v) for k, v in metadata.items())
    offset, body = 0, b""
    for name, dims, kind, content in tensors:
        head += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, len(body))
        body += content + bytes(-len(content) % 32)
    return head + bytes(-len(head) % 32) + (body if data is None else data)


def floats(n):
    return struct.pack(f"<{n}f", *(0.5 for _ in range(n)))


architecture = {"general.architecture": "qwen2", "qwen2.block_count": 1, "qwen2.context_length": 32, "qwen2.embedding_length": 8,
                "qwen2.feed_forward_length": 12, "qwen2.attention.head_count": 2, "qwen2.attention.head_count_kv": 1,
                "qwen2.attention.layer_norm_rms_epsilon": 1e-6, "qwen2.rope.freq_base": 1e6}
letters = ["a", "b", "ab", "\u0120", "c", "<|im_end|>", "<|im_start|>", "\u00c3", "\u00a9", "[PAD9]"]
tokenizer = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "qwen2", "tokenizer.ggml.tokens": letters,
             "tokenizer.ggml.token_type": [1, 1, 1, 1, 1, 3, 3, 1, 1, 5], "tokenizer.ggml.merges": ["a b"], "tokenizer.ggml.eos_token_id": 5,
             "tokenizer.ggml.add_bos_token": False, "tokenizer.chat_template": "{{ messages[0].content }}"}
embedding = ("token_embd.weight", [8, 10], 0, floats(80))
write("gguf", "small.gguf", gguf(architecture, [embedding, ("blk.0.attn_norm.weight", [8], 0, floats(8)), ("blk.0.attn_q.bias", [8], 0, floats(8))]))
write("gguf", "tokenizer.gguf", gguf(architecture | tokenizer, [embedding]))
blocks = [(2, 32, 18), (3, 32, 20), (6, 32, 22), (7, 32, 24), (8, 32, 34), (12, 256, 144), (13, 256, 176), (14, 256, 210), (1, 1, 2), (30, 1, 2)]
write("gguf", "types.gguf", gguf(architecture, [embedding] + [(f"t{k}", [n, 2], k, bytes(range(b)) * 2) for k, n, b in blocks]))
write("gguf", "named_only.gguf", gguf(architecture, [embedding, ("x", [256], 10, bytes(84)), ("y", [256], 21, bytes(110)), ("z", [3], 24, b"abc")]))
write("gguf", "part.gguf", gguf(architecture | {"split.no": 0, "split.count": 2, "split.tensors.count": 2}, [embedding]))
write("gguf", "scaled.gguf", gguf(architecture | {"qwen2.rope.scaling.type": "yarn", "general.alignment": 64}, [embedding], version=2))
write("gguf", "adapter.gguf", gguf({"general.architecture": "qwen2", "general.type": "adapter"}, []))
write("gguf", "counts.gguf", b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1 << 60) + bytes(64))

for path in sorted((tests / "data" / "qwen2" / "masses").glob("*.pt")):
    write("masses", path.name, path.read_bytes())


def model(name, config, shapes):
    lines = [json.dumps(config)] + [" ".join([tensor, kind, *map(str, shape)]) for tensor, kind, shape in shapes]
    write("model", name, "\n".join(lines) + "\n")


def llama_like(head="", mlp=("gate_proj", "up_proj", "down_proj")):
    out = [("model.embed_tokens.weight", "F32", [10, 8]), ("model.norm.weight", "F32", [8])]
    p = "model.layers.0."
    out += [(p + "input_layernorm.weight", "F32", [8]), (p + "post_attention_layernorm.weight", "F32", [8])]
    out += [(p + f"self_attn.{n}_proj.weight", "BF16", [rows, 8]) for n, rows in (("q", 8), ("k", 4), ("v", 4), ("o", 8))]
    out += [(p + f"self_attn.{n}_proj.bias", "F32", [rows]) for n, rows in (("q", 8), ("k", 4), ("v", 4))]
    return out + [(p + f"mlp.{n}.weight", "F32", [8, 12] if n == mlp[2] else [12, 8]) for n in mlp]


model("qwen2", qwen2, llama_like())
model("gravity", qwen2, llama_like() + [("model.layers.0.self_attn.gravity_mass_log", "F32", [2])])
model("qwen2_empty", qwen2 | {"vocab_size": 0}, [(n, k, [0, *s[1:]]) for n, k, s in llama_like()])
model("qwen2_large", qwen2 | {"vocab_size": 1 << 19, "max_position_embeddings": 1 << 30, "hidden_size": 8},
      [(n, k, [1 << 19, 8] if "embed" in n else s) for n, k, s in llama_like()])
small = {"hidden_size": 8, "num_layers": 2, "num_attention_heads": 2, "num_kv_heads": 1, "head_dim": 4, "intermediate_size": 12, "vocab_size": 10,
         "max_position_embeddings": 16, "attn_res_boundaries": [0, 1]}
layer = [("attn_res_query", [8]), ("mlp_res_query", [8]), ("attn_res_norm.weight", [8]), ("mlp_res_norm.weight", [8]), ("attn_norm.weight", [8]), ("ffn_norm.weight", [8]),
         ("attn.q_proj.weight", [8, 8]), ("attn.k_proj.weight", [4, 8]), ("attn.v_proj.weight", [4, 8]), ("attn.o_proj.weight", [8, 8]),
         ("attn.q_norm.weight", [4]), ("attn.k_norm.weight", [4]), ("ffn.gate_proj.weight", [12, 8]), ("ffn.up_proj.weight", [12, 8]), ("ffn.down_proj.weight", [8, 12])]
model("kotodama", small, [("final_res_query", "F32", [8]), ("final_res_norm.weight", "F32", [8]), ("embed_tokens.weight", "F32", [10, 8]), ("norm.weight", "F32", [8])]
      + [(f"layers.{l}.{n}", "F32", shape) for l in range(2) for n, shape in layer])
moa = tests.parent / "resources" / "demo" / "moa"
with open(moa / "model.safetensors", "rb") as file:
    header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
shapes = [(n, e["dtype"], e["shape"]) for n, e in header.items() if n != "__metadata__"]
moa_config = json.loads((moa / "config.json").read_text())
model("moa", moa_config, shapes)
model("moa_missing", moa_config, shapes[::2])
model("nothing", {}, [("a", "F32", [1])])
