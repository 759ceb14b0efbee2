"""Settings of a scan: the span that is taken by default, and memory that does not suffice."""

import pytest

from recon import Scanner, memory
from sim.protocol import Protocol, check_memory


@pytest.mark.parametrize("name, span", [("demo", 1), ("Discovery MI", 1), ("mMR", 11)])
def test_a_scanner_of_more_than_40_rings_is_binned_at_span_11_by_default(name, span):
    assert Protocol(scanner=Scanner.preset(name)).span == span


def test_a_span_that_is_given_is_kept():
    assert Protocol(scanner=Scanner.preset("mMR"), span=1).layout.planes == 64 * 64


def test_a_scan_that_memory_does_not_hold_is_refused_with_both_sizes(monkeypatch):
    protocol = Protocol(scanner=Scanner.preset("mMR"))
    # Span 11 has 252 x 344 x 837 bins and span 1 has 4096 planes: 4 (7 x 837 + 4096) 252 x 344
    # bytes and 1 GiB are 4.22 GiB.
    monkeypatch.setattr(memory, "available", lambda _: 3 << 30)
    with pytest.raises(ValueError, match=r"takes 4\.2 GiB .* 3\.0 GiB are free; give less"):
        check_memory(protocol, "less")
    monkeypatch.setattr(memory, "available", lambda _: 4.3 * (1 << 30))
    check_memory(protocol, "less")
    with pytest.raises(ValueError, match=r"takes 4\.8 GiB .* 4\.3 GiB are free"):  # 4 x 14 x 837
        check_memory(protocol, "less", arrays=14)
