"""Packaging of Countless. Ranges are what should work; constraints.txt is what was tested."""

import runpy
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent

# Run as a file: importing recon would need numpy in the build environment.
VERSION = runpy.run_path(str(HERE / "recon" / "version.py"))["__version__"]

setup(
    name="countless",
    version=VERSION,
    description="Quantitative PET images from a scanner's files, fast on any CPU or GPU",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["PET", "reconstruction", "OSEM", "time of flight", "denoising", "CUDA"],
    classifiers=[
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Medical Science Apps.",
    ],
    python_requires=">=3.11,<3.14",
    packages=find_packages(
        include=[
            *("recon", "recon.*", "denoise", "denoise.*"),
            *("sim", "sim.*", "benchmarks", "benchmarks.*"),
        ]
    ),
    py_modules=["countless"],
    package_data={
        "recon": ["kernels/*.cu", "kernels/*.cuh", "kernels/*.h"],
        "benchmarks": ["results/*.json", "studies/*.yaml"],
        "denoise": ["models/*.pt", "models/*.yaml", "models/*.md"],
    },
    include_package_data=False,
    entry_points={"console_scripts": ["countless = countless:main"]},
    install_requires=[
        "cyclopts>=5",
        "distributed>=2024.8",
        "h5py>=3.11",
        "matplotlib>=3.8",
        "nibabel>=5.3",
        "numpy>=1.26,<3",
        # 2.6.2 and 2.6.3 were compromised (GHSA-w37p-236h-pfx3).
        "pytorch-lightning>=2.6,!=2.6.2,!=2.6.3",
        "pyyaml>=6",
        "scipy>=1.11",
        "torch>=2.11",
        "tqdm>=4.65",
    ],
    extras_require={
        # Non-local means and total variation, to compare networks with.
        "baselines": ["scikit-image>=0.24"],
        "cuda12": ["cupy-cuda12x>=13.6"],
        "cuda13": ["cupy-cuda13x[ctk]>=14"],
        "dicom": ["pydicom>=3"],
        # Its networks, to be trained by their import path.
        "monai": ["monai>=1.5"],
        # Its files say the exact version of its model, and another is refused.
        "petsird": ["petsird>=0.12,<0.13"],
        "tensorboard": ["tensorboard>=2.16"],
        # CuPy and NVRTC compile every kernel in the tests, on machines without a GPU as well.
        "dev": [
            "build>=1.2",
            "cupy-cuda13x>=14",
            "monai>=1.5",
            "nvidia-cuda-nvrtc>=13,<14",
            "petsird>=0.12,<0.13",
            "pydicom>=3",
            "pytest>=8.2",
            "pytest-xdist>=3.6",
            "ruff>=0.9",
            "scikit-image>=0.24",
        ],
    },
)
