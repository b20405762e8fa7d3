#!/usr/bin/env python3
"""Get ggml and build the program that times it.

What: the source distribution of llama-cpp-python, which carries ggml's sources; Vulkan and SPIR-V headers of Debian testing where the
machine's are too old for it (only unpacked beside it, nothing is installed); then CMake builds ggml with its Vulkan back-end and
tools/peers/ggml/worker.c. About 20 minutes of one core, nearly all for its shaders; a second call goes on where the first ended.
Why: no wheel of ggml has its Vulkan back-end, and its packages are older than the Vulkan headers it wants.

    apt-get install glslc libvulkan-dev dpkg-dev
    python3 tools/peers/get_ggml.py build/peers
"""
import argparse
import glob
import os
import re
import subprocess
import sys
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = "llama-cpp-python==0.3.36"
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
LEAST_VULKAN = (1, 4, 309)  # VK_EXT_layer_settings as ggml uses it


def call(*command):
    if subprocess.run(command).returncode:
        sys.exit(f"get_ggml.py: {' '.join(command)} failed")


def header_version(include):
    """(1, 3, 239) of a folder with vulkan/vulkan_core.h; (0, 0, 0) where there is none."""
    try:
        with open(f"{include}/vulkan/vulkan_core.h") as file:
            text = file.read()
    except OSError:
        return 0, 0, 0
    complete = re.search(r"VK_HEADER_VERSION_COMPLETE VK_MAKE_API_VERSION\(0, (\d+), (\d+), VK_HEADER_VERSION\)", text)
    patch = re.search(r"#define VK_HEADER_VERSION (\d+)", text)
    return (int(complete[1]), int(complete[2]), int(patch[1])) if complete and patch else (0, 0, 0)


def sources(folder):
    """The folder "ggml" of the source distribution."""
    found = glob.glob(f"{folder}/llama_cpp_python-*/vendor/llama.cpp/ggml")
    if not found:
        call(sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "--dest", folder, SOURCE)
        archive = glob.glob(f"{folder}/llama_cpp_python-*.tar.gz")[0]
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        found = glob.glob(f"{folder}/llama_cpp_python-*/vendor/llama.cpp/ggml")
    return found[0]


def headers(folder, mirror):
    """Arguments for CMake: where headers new enough are."""
    spirv = glob.glob("/usr/share/cmake/SPIRV-Headers")
    if header_version("/usr/include") >= LEAST_VULKAN and spirv:
        return []
    root = f"{folder}/headers"
    if header_version(f"{root}/usr/include") < LEAST_VULKAN:
        for part in ("state/lists/partial", "cache/archives/partial"):
            os.makedirs(f"{folder}/apt/{part}", exist_ok=True)
        listed = f"{folder}/apt/sources.list"
        with open(listed, "w") as file:
            file.write(f"deb [signed-by={KEYS}] {mirror} testing main\n")
        own = ["-o", f"Dir::State={folder}/apt/state", "-o", f"Dir::Cache={folder}/apt/cache", "-o", f"Dir::Etc::sourcelist={listed}",
               "-o", "Dir::Etc::sourceparts=-", "-o", "Acquire::Languages=none", "-o", "APT::Sandbox::User=root"]
        call("apt-get", *own, "--quiet", "update")
        call("env", "-C", folder, "apt-get", *own, "download", "libvulkan-dev", "spirv-headers")
        for package in glob.glob(f"{folder}/*.deb"):
            call("dpkg-deb", "-x", package, root)
    return [f"-DVulkan_INCLUDE_DIR={root}/usr/include", f"-DSPIRV-Headers_DIR={root}/usr/share/cmake/SPIRV-Headers"]


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("folder", help="where everything goes; the program is peers_ggml in it")
    args.add_argument("--sources", help="a folder \"ggml\" of llama.cpp at hand, instead of the source distribution")
    args.add_argument("--mirror", default="http://deb.debian.org/debian")
    a = args.parse_args()
    folder = os.path.abspath(a.folder)
    os.makedirs(folder, exist_ok=True)
    source = os.path.abspath(a.sources) if a.sources else sources(folder)
    if not os.path.exists(f"{source}/CMakeLists.txt"):
        sys.exit(f"get_ggml.py: {source} has no CMakeLists.txt; it takes the folder \"ggml\" of llama.cpp")
    call("cmake", "-S", f"{HERE}/ggml", "-B", f"{folder}/build", "-G", "Ninja", f"-DGGML_SOURCE={source}", *headers(folder, a.mirror))
    call("nice", "ninja", "-C", f"{folder}/build", "peers_ggml")
    program = f"{folder}/peers_ggml"
    if os.path.lexists(program):
        os.remove(program)
    os.symlink(f"{folder}/build/peers_ggml", program)
    print(program)


if __name__ == "__main__":
    main()
