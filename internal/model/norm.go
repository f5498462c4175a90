package model

import "lomo/internal/device"

// Norm is the model's RMSNorm.
func (c *Config) Norm() device.Norm { return device.Norm{Eps: c.RMSNormEps, PlusOne: c.NormPlusOne} }
