"""The networks that train.py can train, by the name that a checkpoint keeps."""
from promoe import ProMoE
from sparse import SparseDiT
from unet import UNet

NETWORKS = {"promoe": ProMoE, "sparse": SparseDiT, "unet": UNet}
