package executor

import (
	"fmt"
	"log/slog"
)

// Tier says how loudly something is reported. It is derived from the weight: each class has one.
type Tier int

// The tiers, quietest first.
const (
	TierLow Tier = iota
	TierNormal
	TierHigh
	TierCritical
)

var tierNames = [...]string{"low", "normal", "high", "critical"}

// String returns "low", "normal", "high", "critical", or "tier(n)".
func (t Tier) String() string {
	if t < TierLow || t > TierCritical {
		return fmt.Sprintf("tier(%d)", int(t))
	}
	return tierNames[t]
}

// LevelCritical is the slog level of TierCritical, above slog.LevelError.
const LevelCritical = slog.LevelError + 4

// Level is the slog level to which an alert of this tier is raised.
func (t Tier) Level() slog.Level {
	switch t {
	case TierLow:
		return slog.LevelInfo
	case TierNormal:
		return slog.LevelWarn
	case TierHigh:
		return slog.LevelError
	case TierCritical:
		return LevelCritical
	}
	return slog.LevelError
}

// MarshalText writes the tier's name.
func (t Tier) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads a tier's name; an unknown one is an ErrConfig.
func (t *Tier) UnmarshalText(text []byte) error {
	for i, name := range tierNames {
		if name == string(text) {
			*t = Tier(i)
			return nil
		}
	}
	return fmt.Errorf("%w: tier %q: must be low, normal, high or critical", ErrConfig, text)
}
