package executor

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Class is one weight level. Only Name, Weight and MaxParallel have to be set; every other zero value
// means the default that is documented with the field. A Class holds plain data, and its JSON form
// writes durations as strings ("5s").
type Class struct {
	// Name identifies the class in commands, errors, records and metrics.
	Name string `json:"name"`
	// Weight orders the classes, higher first; it is at least 1 and unique. It also scales the base
	// timeout: a heavier command is worth more waiting.
	Weight int `json:"weight"`
	// MaxParallel is the number of commands of this class that run at the same time, at least 1.
	MaxParallel int `json:"maxParallel"`
	// Reserve is the number of slots of the executor's limit that no other class may use. Default 0.
	Reserve int `json:"reserve,omitempty"`
	// MaxQueue bounds the commands that wait, for a slot or for their next attempt. Default 1024.
	MaxQueue int `json:"maxQueue,omitempty"`
	// MaxQueueWait bounds the wait of one command for a slot, per attempt. Default 1 min.
	MaxQueueWait time.Duration `json:"maxQueueWait,omitempty"`
	// MaxQuarantine bounds the abandoned commands that have not returned yet. While it is not reached, up
	// to MaxQuarantine-abandoned commands run; when it is reached, the class refuses commands with
	// ErrQuarantine until one returns. Default 4*MaxParallel, at least MaxParallel.
	MaxQuarantine int `json:"maxQuarantine,omitempty"`
	// MaxPerTarget bounds, for each target, the commands of this class in flight plus the abandoned
	// ones. When as many are abandoned, the target is stuck: commands fail with ErrTargetStuck, and
	// one probe at a time is let through. Default max(2, MaxParallel/2).
	MaxPerTarget int `json:"maxPerTarget,omitempty"`
	// StarveAfter is how long the head of the queue waits before it goes first, once. Default 5 s.
	StarveAfter time.Duration `json:"starveAfter,omitempty"`
	// ShedAt is the scarcity (0..1) from which new commands of this class are refused. 0 means the
	// default by rank: .70 for the lowest class, .85 for the next, .95 for all others; negative means
	// never. The class with the highest weight is never shed.
	ShedAt float64 `json:"shedAt,omitempty"`
	// Tier says how a given-up command of this class is reported. Default TierLow.
	Tier Tier `json:"tier"`
	// Timeout bounds one attempt.
	Timeout Timeout `json:"timeout"`
	// Retry says whether and when a failed attempt is repeated.
	Retry Retry `json:"retry"`
	// Expect is what the class is sized for; it changes nothing but Warnings.
	Expect Expect `json:"expect"`
}

// Timeout holds the three timeouts of an attempt. They are apart on purpose: a connect
// timeout that grew with load as the total one does would hold slots exactly when they are scarce.
type Timeout struct {
	// Base is the total time of a first attempt of a command of weight 0 on an idle machine. Default 5 s.
	Base time.Duration `json:"base,omitempty"`
	// Max is the ceiling of one attempt, whatever weight, load and repetition say. Default 120 s.
	Max time.Duration `json:"max,omitempty"`
	// Grace is the time between cancellation and abandonment. Default min(2 s, timeout/10) of the attempt.
	Grace time.Duration `json:"grace,omitempty"`
	// Connect is what a transport should allow for a dial or an upgrade, stretched at most twofold by load; past it the
	// attempt ends as one that did not start. Packages podexec and sqlconn obey it, local has nothing to connect to, and
	// any other Run finds it in Attempt.Connect. Default 5 s.
	Connect time.Duration `json:"connect,omitempty"`
	// Progress cancels an attempt that did not call Attempt.Progress for so long. 0 turns it off.
	Progress time.Duration `json:"progress,omitempty"`
}

// Retry holds the retry rules of a class.
type Retry struct {
	// Max is the number of attempts after the first. 0 means no retry.
	Max int `json:"max,omitempty"`
	// Ratio bounds retries to this share of the class's requests in the last minute (plus 3 per
	// minute). Default by tier: .05, .1, .2, .5.
	Ratio float64 `json:"ratio,omitempty"`
	// Backoff is the upper bound of the first delay; it doubles with each attempt. The delay is drawn
	// from 0..bound ("full jitter") and stretched by load. Default 200 ms.
	Backoff time.Duration `json:"backoff,omitempty"`
	// MaxBackoff is the ceiling of that bound. Default 10 s.
	MaxBackoff time.Duration `json:"maxBackoff,omitempty"`
	// MaxElapsed bounds the life of a command from Submit on: no attempt starts after it, and none is
	// given more time than is left. Default: no bound.
	MaxElapsed time.Duration `json:"maxElapsed,omitempty"`
	// ScarcityCut is the scarcity from which the class is not retried any more. Default by tier:
	// .5, .7, .9, and never for TierCritical.
	ScarcityCut float64 `json:"scarcityCut,omitempty"`
}

// DefaultClasses are the classes of a test harness, lightest first: "probe" looks at the system,
// "collect" gathers logs and reports, "fault" injects, and "heal" undoes a fault and must get
// through when nothing else does. The result may be changed freely.
func DefaultClasses() []Class {
	return []Class{
		{
			// A harness that stops looking cannot judge, so probes are not shed.
			Name: "probe", Weight: 1, MaxParallel: 8, Tier: TierLow, ShedAt: -1,
			Timeout: Timeout{Base: 3 * time.Second, Max: 20 * time.Second},
			Retry:   Retry{Max: 2, Ratio: .2},
		},
		{
			Name: "collect", Weight: 10, MaxParallel: 4, Tier: TierNormal,
			Timeout: Timeout{Base: 10 * time.Second, Max: time.Minute},
			Retry:   Retry{Max: 2},
		},
		{
			Name: "fault", Weight: 100, MaxParallel: 8, Reserve: 4, Tier: TierHigh,
			Timeout: Timeout{Base: 5 * time.Second, Max: time.Minute},
			Retry:   Retry{Max: 2, Ratio: .5},
		},
		{
			Name: "heal", Weight: 1000, MaxParallel: 8, Reserve: 4, Tier: TierCritical,
			Timeout: Timeout{Base: 10 * time.Second, Max: 2 * time.Minute},
			Retry:   Retry{Max: 4, Ratio: 1},
		},
	}
}

// orDefault returns v, or def when v is the zero value.
func orDefault[T comparable](v, def T) T {
	return cmp.Or(v, def)
}

// withDefaults fills in what the caller left open; shed-by-rank is filled in by normalize.
func (c Class) withDefaults() Class {
	c.MaxQueue = orDefault(c.MaxQueue, 1024)
	c.MaxQueueWait = orDefault(c.MaxQueueWait, time.Minute)
	c.MaxQuarantine = orDefault(c.MaxQuarantine, 4*c.MaxParallel)
	c.MaxPerTarget = orDefault(c.MaxPerTarget, max(2, c.MaxParallel/2))
	c.StarveAfter = orDefault(c.StarveAfter, 5*time.Second)
	c.Timeout.Base = orDefault(c.Timeout.Base, 5*time.Second)
	c.Timeout.Max = orDefault(c.Timeout.Max, max(120*time.Second, c.Timeout.Base))
	c.Timeout.Connect = orDefault(c.Timeout.Connect, 5*time.Second)
	tier := min(max(c.Tier, TierLow), TierCritical)
	c.Retry.Ratio = orDefault(c.Retry.Ratio, [...]float64{.05, .1, .2, .5}[tier])
	c.Retry.ScarcityCut = orDefault(c.Retry.ScarcityCut, [...]float64{.5, .7, .9, neverCut}[tier])
	c.Retry.Backoff = orDefault(c.Retry.Backoff, 200*time.Millisecond)
	c.Retry.MaxBackoff = orDefault(c.Retry.MaxBackoff, 10*time.Second)
	return c
}

// neverCut is above any scarcity.
const neverCut = 2

// validate names every mistake in one class, not only the first.
func (c Class) validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("class %q: "+format, append([]any{c.Name}, args...)...))
	}
	if c.Name == "" {
		bad("it needs a name")
	}
	if c.Weight < 1 {
		bad("weight %d: must be at least 1", c.Weight)
	}
	if c.MaxParallel < 1 {
		bad("maxParallel %d: must be at least 1", c.MaxParallel)
	}
	if c.Reserve < 0 || c.Reserve > c.MaxParallel {
		bad("reserve %d: must be in 0..maxParallel (%d)", c.Reserve, c.MaxParallel)
	}
	if c.MaxQuarantine < c.MaxParallel {
		bad("maxQuarantine %d: must be at least maxParallel (%d), or slots could never all be used",
			c.MaxQuarantine, c.MaxParallel)
	}
	if c.MaxPerTarget < 1 || c.MaxQueue < 1 {
		bad("maxPerTarget %d and maxQueue %d: must be at least 1", c.MaxPerTarget, c.MaxQueue)
	}
	if c.Timeout.Base < 0 || c.Timeout.Max < c.Timeout.Base {
		bad("timeout: base %v and max %v: need 0 < base <= max", c.Timeout.Base, c.Timeout.Max)
	}
	if c.Timeout.Grace < 0 || c.Timeout.Connect < 0 || c.Timeout.Progress < 0 || c.MaxQueueWait < 0 || c.StarveAfter < 0 {
		bad("no duration may be negative")
	}
	if c.Retry.Max < 0 || c.Retry.Ratio < 0 || c.Retry.Backoff < 0 || c.Retry.MaxBackoff < 0 || c.Retry.MaxElapsed < 0 {
		bad("retry: no value may be negative")
	}
	if c.ShedAt > 1 {
		bad("shedAt %v: scarcity is in 0..1", c.ShedAt)
	}
	if c.Tier < TierLow || c.Tier > TierCritical {
		bad("tier %d: must be low, normal, high or critical", int(c.Tier))
	}
	return errors.Join(errs...)
}

// normalize fills in defaults, checks the set of classes against the limit (0 means the sum of
// all caps) and returns the classes by falling weight, and the limit.
func normalize(classes []Class, limit int) ([]Class, int, error) {
	if len(classes) == 0 {
		return nil, 0, fmt.Errorf("%w: at least one class is needed", ErrConfig)
	}
	out := make([]Class, 0, len(classes))
	var errs []error
	names, weights := map[string]bool{}, map[int]string{}
	sumCap, sumReserve, unreserved := 0, 0, ""
	for _, c := range classes {
		c = c.withDefaults()
		errs = append(errs, c.validate())
		if names[c.Name] {
			errs = append(errs, fmt.Errorf("class %q: the name is used twice", c.Name))
		}
		if other, ok := weights[c.Weight]; ok {
			errs = append(errs, fmt.Errorf("classes %q and %q: same weight %d", other, c.Name, c.Weight))
		}
		names[c.Name], weights[c.Weight] = true, c.Name
		sumCap += c.MaxParallel
		sumReserve += c.Reserve
		if c.Reserve == 0 {
			unreserved = c.Name
		}
		out = append(out, c)
	}
	if limit == 0 {
		limit = sumCap
	}
	if sumReserve > limit {
		errs = append(errs, fmt.Errorf("the reserves add up to %d: more than the limit of %d", sumReserve, limit))
	}
	if unreserved != "" && sumReserve >= limit {
		errs = append(errs, fmt.Errorf("class %q has no reserve and the others reserve all %d slots: it could never start", unreserved, limit))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	slices.SortFunc(out, func(a, b Class) int { return cmp.Compare(b.Weight, a.Weight) })
	for i := range out {
		if out[i].ShedAt == 0 {
			out[i].ShedAt = []float64{.70, .85, .95}[min(len(out)-1-i, 2)]
		}
	}
	return out, limit, nil
}
