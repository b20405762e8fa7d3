"""The networks that train.py can train, by the name that a checkpoint keeps. ARCHITECTURES: by that in a file's metadata."""
from promoe import ProMoE
from sparse import SparseDiT
from unet import UNet

NETWORKS = {"promoe": ProMoE, "sparse": SparseDiT, "unet": UNet}
ARCHITECTURES = {"promoe": ProMoE, "sparse-skip-dit": SparseDiT, "adm": UNet}


def network_of(kept):
    """The network of a checkpoint, without weights. Checkpoints of before there were several are ProMoE's."""
    numbers = {k: v for k, v in kept["config"].items() if k != "words"}
    return NETWORKS[kept.get("network", "promoe")](len(kept["vocabulary"]), **numbers)
