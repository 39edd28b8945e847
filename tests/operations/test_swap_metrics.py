"""What Prometheus scrapes of residency."""

from motet.operations.metrics import Metrics
from motet.operations.swap_metrics import SwapMetrics
from motet.types import Fleet


def test_residency():
    metrics = Metrics()
    swaps = SwapMetrics(metrics.registry)
    swaps.leased("a", "waited", 0.3)
    swaps.leased("a", "refused", 45.0)
    swaps.loaded("a", "ok", 2.0)
    swaps.loaded("a", "failed", 9.0)
    swaps.unloaded("b")
    swaps.holds(1024, 4096)
    said = metrics.render(Fleet([])).decode().splitlines()
    assert 'motet_residency_leases_total{expert="a",outcome="refused"} 1.0' in said
    assert 'motet_residency_wait_seconds_count{expert="a"} 1.0' in said  # a refusal got no place
    assert 'motet_residency_loads_total{engine="a",outcome="failed"} 1.0' in said
    assert 'motet_residency_load_seconds_sum{engine="a"} 2.0' in said
    assert 'motet_residency_evictions_total{engine="b"} 1.0' in said
    assert 'motet_residency_bytes{of="used"} 1024.0' in said
    assert 'motet_residency_bytes{of="budget"} 4096.0' in said
