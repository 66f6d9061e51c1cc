"""What the services share: the contracts they speak and the chassis they run on."""
