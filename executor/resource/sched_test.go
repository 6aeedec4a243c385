package resource

import (
	"errors"
	"math"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestSchedLatency(t *testing.T) {
	h := &metrics.Float64Histogram{
		Buckets: []float64{math.Inf(-1), 0, .001, .010, .020, .100, math.Inf(1)},
		Counts:  make([]uint64, 6),
	}
	s := &schedLatency{read: func() *metrics.Float64Histogram { return h }}
	h.Counts[5] = 1000 // what was before the first reading does not count
	if _, _, err := s.idle(t.Context()); !errors.Is(err, errFirst) {
		t.Fatalf("first reading: %v", err)
	}
	for _, c := range []struct {
		name string
		add  [6]uint64
		want float64
	}{
		{"nothing", [6]uint64{}, 1},
		{"fast", [6]uint64{0, 1000}, 1},
		{"at the threshold", [6]uint64{0, 10, 0, 1000}, 1},
		{"one in a hundred", [6]uint64{0, 980, 0, 0, 20}, KneeCPU / 2},
		{"less than one in a hundred", [6]uint64{0, 995, 0, 0, 5}, 1},
		{"100 ms", [6]uint64{0, 0, 0, 0, 0, 30}, KneeCPU / 10},
		{"one outlier among few", [6]uint64{0, 29, 0, 0, 0, 1}, 1},
		{"too few", [6]uint64{0, 0, 0, 0, 0, 19}, 1},
		{"with those of before", [6]uint64{0, 1}, KneeCPU / 10},
		{"over", [6]uint64{0, 1000}, 1},
	} {
		for i, n := range c.add {
			h.Counts[i] += n
		}
		idle, source, err := s.idle(t.Context())
		near(t, c.name, idle, err, c.want)
		if source != "sched" {
			t.Errorf("%s: from %q", c.name, source)
		}
	}
}

// More goroutines that compute than processors: the process is short of CPU by its own doing.
func TestSchedLatencyOfThisProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("computes for some seconds; left out by -short")
	}
	s := newSchedLatency()
	if _, _, err := s.idle(t.Context()); !errors.Is(err, errFirst) {
		t.Fatalf("first reading: %v", err)
	}
	var over atomic.Bool
	var wg sync.WaitGroup
	for range 10 * runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for !over.Load() { // computing is the point
			}
		})
	}
	defer wg.Wait()
	defer over.Store(true)
	idle := 1.0
	for began := time.Now(); idle > KneeCPU/2; <-time.After(100 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("idle %v with ten goroutines per processor, want at most %v", idle, KneeCPU/2)
		}
		var err error
		if idle, _, err = s.idle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
