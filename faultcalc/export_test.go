package faultcalc

// Bounds gives tests the bounds that stand in for an exact unavailability.
func Bounds(m *Model) (lower, upper float64) { return bounds(m.cuts(), m.probability) }
