"""Speech Commands, a LeNet: test errors by alpha and k"""

from experiments.k_mixup.large import experiment

EXPERIMENT = experiment(
    "k-mixup/speech-commands",
    "Table 5",
    "Speech Commands, a LeNet: test errors by alpha and k",
    data="Speech Commands",
    network=["lenet", {}],
    schedule="K_MIXUP_SPEECH",
    batch=100,
    erm=12.26,
    alphas=[0.1, 0.2, 0.5, 1, 10],
    printed="""
        1 11.89 11.55 11.43 11.55 12.16
        2 11.76 11.48 11.32 11.38 11.62
        4 11.68 11.36 11.18 11.19 11.20
        8 11.83 11.36 11.14 11.14 10.84
        16 11.72 11.36 11.11 11.04 10.32
    """,
    notes="""
The paper has the 30 words of the first version; tensorflow-datasets has 12 classes: ten words, silence, and any other
word. Errors do not compare; what mixing changes does. Spectrograms: see experiments/data/speech.py.
""",
)
