package workload

import (
	"context"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

const (
	beat      = 20 * time.Millisecond
	tolerable = 100 * time.Millisecond // for a beat to come late, and for the clocks to differ
)

// Pulse measures, until the context ends, how late this process comes to what it wants to do at once, and whether its wall clock goes
// as fast as its monotonic one. What is out of the ordinary goes to the history.
func Pulse(ctx context.Context, record *history.Recorder) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		for _, l := range lapses(now.Sub(last), now.Round(0).Sub(last.Round(0))) { // without its monotonic reading, it is wall time
			record.Add(history.Record{At: record.Since(last), Lapse: &l})
		}
		last = now
	}
}

// lapses says what it means that a beat took so long.
func lapses(monotonic, wall time.Duration) (found []history.Lapse) {
	if late := monotonic - beat; late > tolerable {
		found = append(found, history.Lapse{Kind: history.Stall, Took: late})
	}
	if by := wall - monotonic; by.Abs() > tolerable {
		found = append(found, history.Lapse{Kind: history.Jump, Took: monotonic, By: by})
	}
	return found
}
