"""What tests share that run where torch sees a GPU alone."""

import pytest
import torch

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")


@pytest.fixture
def exact(monkeypatch):
    """Convolutions of float32 without rounding to ten bits, which is a GPU's way by default."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
