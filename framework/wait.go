package framework

import (
	"context"
	"fmt"
	"time"

	"github.com/cutset-dev/cutset/framework/verdict"
)

// stopwatch returns the load-normalized time since its start, reckoned from call to call.
func (r *run) stopwatch() func() time.Duration {
	var spent time.Duration
	at := time.Now()
	return func() time.Duration {
		now := time.Now()
		spent += time.Duration(float64(now.Sub(at)) / r.commands.LoadFactor())
		at = now
		return spent
	}
}

// lateError says that something did not come in time.
type lateError struct {
	what     string
	limit    time.Duration
	missedBy time.Duration // the limit, load-normalized
	seen     error         // last
}

func (e lateError) Error() string {
	return fmt.Sprintf("waited %s of %s, load-normalized, for %s; last seen: %v", seconds(e.limit+e.missedBy), seconds(e.limit), e.what, e.seen)
}

func (e lateError) Unwrap() error { return e.seen }

// wait checks now and then until the check passes, for at most the limit in load-normalized time. Where the harness stood still meanwhile, it
// waits longer by what that may cost, so that no verdict has to put a failure down to it, but for twice the limit at most. The error says
// what was seen last; it is a lateError, or one of the context.
func (r *run) wait(ctx context.Context, limit time.Duration, what string, check func(context.Context) error) error {
	const every = 100 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	stood := r.pulse.Stood()
	for spent := r.stopwatch(); ; {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if missedBy := spent() - limit; missedBy > min(limit, verdict.MayCost(r.pulse.Stood()-stood)) {
			return lateError{what, limit, missedBy, err}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; last seen: %w", what, context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}
