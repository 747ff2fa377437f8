"""Is this hand-written derivative right? The public checks: what the user has goes in, a report comes out."""

from gradcheck.check.functions import check_jvp, check_vjp
from gradcheck.check.mappings import check_grad
from gradcheck.check.objects import check_layer

__all__ = ["check_grad", "check_jvp", "check_layer", "check_vjp"]
