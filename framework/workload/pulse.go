package workload

import (
	"context"
	"sync"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

const (
	beat      = 20 * time.Millisecond
	tolerable = 100 * time.Millisecond // for a beat to come late, and for the clocks to differ
)

// Pulse measures how late this process comes to what it wants to do at once, and whether its wall clock goes as fast as its
// monotonic one. The zero value is ready.
type Pulse struct {
	mu    sync.Mutex
	last  time.Time     // it beat; zero while it does not
	stood time.Duration // in all
}

// Beat measures until the context ends. What is out of the ordinary goes to the history.
func (p *Pulse) Beat(ctx context.Context, record *history.Recorder) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	last := time.Now()
	p.beats(last, nil)
	defer p.beats(time.Time{}, nil)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		found := lapses(now.Sub(last), now.Round(0).Sub(last.Round(0))) // without its monotonic reading, it is wall time
		for _, l := range found {
			record.Add(history.Record{At: record.Since(last), Lapse: &l})
		}
		p.beats(now, found)
		last = now
	}
}

func (p *Pulse) beats(now time.Time, found []history.Lapse) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = now
	for _, l := range found {
		if l.Kind == history.Stall {
			p.stood += l.Took
		}
	}
}

// Stood is how long the process has stood still by now.
func (p *Pulse) Stood() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	stood := p.stood
	if late := time.Since(p.last) - beat; !p.last.IsZero() && late > tolerable {
		stood += late // it is about to find out
	}
	return stood
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
