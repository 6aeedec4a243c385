package executor

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Tuning holds the constants of the timeout formula. The zero value of a field means its default.
type Tuning struct {
	// Gamma: how much the heaviest class's base is stretched, 1+Gamma fold. Default 1.
	Gamma float64 `json:"gamma,omitempty"`
	// Alpha: how much total scarcity stretches, 1+Alpha fold. Default 3: service time in a shared processor
	// grows by 1/idle, which explodes near 0, so it is taken linear and stopped at 4 (idle 25 %).
	Alpha float64 `json:"alpha,omitempty"`
	// Beta: growth per attempt that timed out or met overload. Default 1.6.
	Beta float64 `json:"beta,omitempty"`
	// Jitter: timeouts are spread by this share in both directions. Default .1; negative turns it off.
	Jitter float64 `json:"jitter,omitempty"`
}

func (t Tuning) withDefaults() Tuning {
	t.Gamma = orDefault(t.Gamma, 1)
	t.Alpha = orDefault(t.Alpha, 3)
	t.Beta = orDefault(t.Beta, 1.6)
	t.Jitter = orDefault(t.Jitter, .1)
	t.Jitter = max(t.Jitter, 0)
	return t
}

// timeoutReason records how a timeout came about; it is formatted only when somebody reads it. It is part of every
// attempt, hence the narrow types.
type timeoutReason struct {
	base, uncut, timeout           time.Duration
	resource                       string
	weight, load, growth, scarcity float32
	jitter                         float32
	grown                          int16
	learned                        bool
	cut                            timeoutCut
}

// timeoutCut is what bounded a timeout.
type timeoutCut uint8

const (
	cutNone timeoutCut = iota
	cutCeiling
	cutElapsed
	cutParent
)

func (c timeoutCut) String() string {
	return [...]string{"nothing", "the ceiling", "maxElapsed", "the caller's deadline"}[c]
}

// String is like "5s base × 1.10 weight × 2.20 load (cpu scarcity 0.40) × 1.60 after 1 timeout = 19.4s".
func (r timeoutReason) String() string {
	var b strings.Builder
	source := "base"
	if r.learned {
		source = "learned (srtt+4*rttvar)"
	}
	fmt.Fprintf(&b, "%v %s × %.2f weight × %.2f load", r.base.Round(time.Millisecond), source, r.weight, r.load)
	if r.scarcity > 0 {
		resource := r.resource
		if resource != "" {
			resource += " "
		}
		fmt.Fprintf(&b, " (%sscarcity %.2f)", resource, r.scarcity)
	}
	if r.grown > 0 {
		fmt.Fprintf(&b, " × %.2f after %d timeout(s)", r.growth, r.grown)
	}
	if r.jitter != 1 {
		fmt.Fprintf(&b, " × %.2f jitter", r.jitter)
	}
	if r.cut != cutNone {
		fmt.Fprintf(&b, " = %v, cut by %s to %v", r.uncut.Round(time.Millisecond), r.cut, r.timeout.Round(time.Millisecond))
	} else {
		fmt.Fprintf(&b, " = %v", r.timeout.Round(time.Millisecond))
	}
	return b.String()
}

// rtt is the smoothed service time of RFC 6298, section 2. Samples come from first attempts that
// succeeded only: a retried or timed-out attempt says nothing about the service time (Karn's rule).
type rtt struct {
	smoothed, variance time.Duration
	samples            int64
}

func (r *rtt) add(sample time.Duration) {
	r.samples++
	if r.samples == 1 {
		r.smoothed, r.variance = sample, sample/2
		return
	}
	r.variance += ((r.smoothed - sample).Abs() - r.variance) / 4
	r.smoothed += (sample - r.smoothed) / 8
}

func (r *rtt) upper() time.Duration { return r.smoothed + 4*r.variance }

// timeoutFor computes
//
//	T = min(Max, what the caller and MaxElapsed leave,
//	        max(Base*(1+gamma*w/wmax), srtt+4*rttvar) * (1+alpha*S) * beta^grown * (1±jitter))
//
// and says why. S is read once, at the start of the attempt. Mutex held.
func (e *Executor) timeoutFor(t *task, load Load, now instant) timeoutReason {
	c, k := t.level, e.tuning
	weight := 1 + k.Gamma*float64(c.Weight)/float64(e.levels[0].Weight)
	stretch, growth, jitter := 1+k.Alpha*load.Scarcity, math.Pow(k.Beta, float64(t.grown)), 1.0
	r := timeoutReason{base: c.Timeout.Base, scarcity: float32(load.Scarcity), resource: load.Resource, grown: int16(t.grown)}
	if up := c.rtt.upper(); float64(up) > float64(r.base)*weight {
		r.base, r.learned, weight = up, true, 1
	}
	if k.Jitter > 0 {
		jitter = 1 + k.Jitter*(2*e.rng.Float64()-1)
	}
	r.weight, r.load, r.growth, r.jitter = float32(weight), float32(stretch), float32(growth), float32(jitter)
	r.uncut = time.Duration(min(float64(r.base)*weight*stretch*growth*jitter, float64(math.MaxInt64/4)))
	r.timeout = r.uncut
	cut := func(by timeoutCut, to time.Duration) {
		if to < r.timeout {
			r.cut, r.timeout = by, to
		}
	}
	cut(cutCeiling, c.Timeout.Max)
	if c.Retry.MaxElapsed > 0 {
		cut(cutElapsed, t.submitted.add(c.Retry.MaxElapsed).sub(now))
	}
	if t.parentDeadline != 0 {
		// The margin lets the attempt end, and its reason be recorded, before the caller's context does.
		left := t.parentDeadline.sub(now)
		cut(cutParent, left-min(50*time.Millisecond, left/20))
	}
	return r
}

// grace is the time that an attempt has to return after its cancellation.
func (c *Class) grace(timeout time.Duration) time.Duration {
	if c.Timeout.Grace > 0 {
		return c.Timeout.Grace
	}
	return max(min(2*time.Second, timeout/10), time.Millisecond)
}
