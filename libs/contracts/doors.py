"""What holds at every door: what auth answers the gateways, which ask twice a second."""

from __future__ import annotations

from libs.contracts.features import FeatureRow
from libs.contracts.maintenance import MaintenanceView
from libs.contracts.model import Contract


class DoorsView(Contract):
    """`features`: those that were changed."""

    maintenance: MaintenanceView = MaintenanceView()
    features: tuple[FeatureRow, ...] = ()
