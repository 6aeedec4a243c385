package executor

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// duration is a time.Duration whose text form is "1m30s"; it also reads plain nanoseconds.
type duration time.Duration

// MarshalText writes "1m30s".
func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalJSON reads "1m30s" or nanoseconds.
func (d *duration) UnmarshalJSON(text []byte) error {
	var ns int64
	if json.Unmarshal(text, &ns) == nil {
		*d = duration(ns)
		return nil
	}
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("%w: duration %s: %w", ErrConfig, text, err)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	*d = duration(v)
	return nil
}

type timeoutJSON struct {
	Base     duration `json:"base,omitempty"`
	Max      duration `json:"max,omitempty"`
	Grace    duration `json:"grace,omitempty"`
	Connect  duration `json:"connect,omitempty"`
	Progress duration `json:"progress,omitempty"`
}

// MarshalJSON writes durations as strings.
func (t Timeout) MarshalJSON() ([]byte, error) {
	return json.Marshal(timeoutJSON{duration(t.Base), duration(t.Max), duration(t.Grace), duration(t.Connect), duration(t.Progress)})
}

// UnmarshalJSON reads durations as strings or nanoseconds.
func (t *Timeout) UnmarshalJSON(text []byte) error {
	var j timeoutJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return fmt.Errorf("timeout: %w", err)
	}
	*t = Timeout{time.Duration(j.Base), time.Duration(j.Max), time.Duration(j.Grace), time.Duration(j.Connect), time.Duration(j.Progress)}
	return nil
}

// retryFields has the fields of Retry without its methods; those of its durations are shadowed.
type retryFields Retry

type retryJSON struct {
	retryFields
	Backoff    duration `json:"backoff,omitempty"`
	MaxBackoff duration `json:"maxBackoff,omitempty"`
	MaxElapsed duration `json:"maxElapsed,omitempty"`
}

// MarshalJSON writes durations as strings.
func (r Retry) MarshalJSON() ([]byte, error) {
	return json.Marshal(retryJSON{retryFields(r), duration(r.Backoff), duration(r.MaxBackoff), duration(r.MaxElapsed)})
}

// UnmarshalJSON reads durations as strings or nanoseconds.
func (r *Retry) UnmarshalJSON(text []byte) error {
	var j retryJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return fmt.Errorf("retry: %w", err)
	}
	*r = Retry(j.retryFields)
	r.Backoff, r.MaxBackoff, r.MaxElapsed = time.Duration(j.Backoff), time.Duration(j.MaxBackoff), time.Duration(j.MaxElapsed)
	return nil
}

type classFields Class

type classJSON struct {
	classFields
	MaxQueueWait duration `json:"maxQueueWait,omitempty"`
	StarveAfter  duration `json:"starveAfter,omitempty"`
}

// MarshalJSON writes durations as strings.
func (c Class) MarshalJSON() ([]byte, error) {
	return json.Marshal(classJSON{classFields(c), duration(c.MaxQueueWait), duration(c.StarveAfter)})
}

// UnmarshalJSON reads durations as strings or nanoseconds.
func (c *Class) UnmarshalJSON(text []byte) error {
	var j classJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return fmt.Errorf("class: %w", err)
	}
	*c = Class(j.classFields)
	c.MaxQueueWait, c.StarveAfter = time.Duration(j.MaxQueueWait), time.Duration(j.StarveAfter)
	return nil
}

// Expect is what a class is expected to do; it is only used to check the sizes, see Warnings.
type Expect struct {
	// PerSecond is the rate of commands. 0 means that nothing is known.
	PerSecond float64 `json:"perSecond,omitempty"`
	// Seconds is the mean service time of a command that does not hang.
	Seconds float64 `json:"seconds,omitempty"`
	// Hang is the share (0..1) of commands that hang until they are given up.
	Hang float64 `json:"hang,omitempty"`
}

// Warnings names classes that are allowed but too small for what they Expect. By Little's law a class needs
// rate*(hang*(timeout+grace) + (1-hang)*service) slots, half as many again for the variance; commands that run are not
// stopped for heavier ones, so what lighter classes may hold is not there for it.
func (e *Executor) Warnings() []string {
	var out []string
	sumCaps := 0
	for _, l := range e.levels {
		sumCaps += l.MaxParallel
	}
	for i, l := range e.levels {
		lighter := 0
		for _, other := range e.levels[i+1:] {
			lighter += other.MaxParallel
		}
		free := min(l.MaxParallel, max(l.Reserve, e.limits.max-lighter))
		if x := l.Expect; x.PerSecond > 0 {
			first := float64(l.Timeout.Base) * (1 + e.tuning.Gamma*float64(l.Weight)/float64(e.levels[0].Weight))
			hung := min(time.Duration(first), l.Timeout.Max)
			hung += l.grace(hung)
			need := int(math.Ceil(1.5 * x.PerSecond * (x.Hang*hung.Seconds() + (1-x.Hang)*x.Seconds)))
			if need > free {
				out = append(out, fmt.Sprintf("class %q needs %d slots for what it expects, and is sure of %d only: "+
					"raise the limit, its maxParallel or its reserve, or lower the caps of lighter classes", l.Name, need, free))
			}
		}
		if i == 0 && free < 1 {
			out = append(out, fmt.Sprintf("class %q, the heaviest, can find all %d slots taken by lighter classes, "+
				"which may hold %d: give it a reserve", l.Name, e.limits.max, sumCaps-l.MaxParallel))
		}
	}
	return out
}
