package executor

import (
	"math"
	"time"
)

// instant is a point in time, in ns since the executor was made; 0 means none. It is of the monotonic clock, so
// whoever sets the machine's clock changes no deadline and no budget. A time.Time would do as well, but costs three
// times the memory, half of it for the garbage collector to look at, and two readings of clocks per step.
type instant int64

// add is d later; what lies too far ahead never comes.
func (i instant) add(d time.Duration) instant {
	if sum := i + instant(d); sum >= i || d < 0 {
		return sum
	}
	return math.MaxInt64
}

// sub is the time from o to i.
func (i instant) sub(o instant) time.Duration { return time.Duration(i - o) }

func (e *Executor) now() instant { return instant(time.Since(e.epoch)) }

// at is t as an instant; what was before the executor is its beginning.
func (e *Executor) at(t time.Time) instant { return instant(max(t.Sub(e.epoch), 1)) }

// clock is i as the clock of the machine shows it now, for people to read.
func (e *Executor) clock(i instant) time.Time { return time.Now().Add(i.sub(e.now())) }
