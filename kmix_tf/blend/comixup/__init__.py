"""Co-Mixup: mixtures of a whole part of a batch at once, block by block, by what is salient and what others show."""

from kmix_tf.blend.comixup.blend import CoMixupBlend
from kmix_tf.blend.comixup.energy import JointEnergy, joint_energy
from kmix_tf.blend.comixup.solve import course, masks_of, solved, swept

__all__ = ["CoMixupBlend", "JointEnergy", "course", "joint_energy", "masks_of", "solved", "swept"]
