"""What a step of training costs here, beside other libraries: ``portanet bench``."""
