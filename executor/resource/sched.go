package resource

import (
	"context"
	"errors"
	"math"
	"runtime/metrics"
)

const (
	schedMetric = "/sched/latencies:seconds"
	// schedSlow is how long goroutines that could run may wait for it, at the 99th percentile.
	schedSlow = .010
	// schedSamples is the least number of samples to speak of. The runtime takes the time of one in eight.
	schedSamples = 20
)

// schedLatency is how long this process's own goroutines wait for a processor: what it does too much of itself, and what
// the host's counters don't show when it has fewer processors than the host, or when GOMAXPROCS is the bound.
type schedLatency struct {
	read   func() *metrics.Float64Histogram
	last   []uint64
	counts []uint64 // of the interval, between two calls; kept for reuse
}

func newSchedLatency() *schedLatency {
	samples := []metrics.Sample{{Name: schedMetric}} // its histogram is reused by the runtime
	return &schedLatency{read: func() *metrics.Float64Histogram {
		metrics.Read(samples)
		if samples[0].Value.Kind() != metrics.KindFloat64Histogram {
			return nil
		}
		return samples[0].Value.Float64Histogram()
	}}
}

// idle is 1 while the percentile is below schedSlow. Above it, it is the share of KneeCPU at which scarcity is
// 1-schedSlow/p99: 0 at 10 ms, .5 at 20 ms, .9 at 100 ms.
func (s *schedLatency) idle(context.Context) (float64, string, error) {
	h := s.read()
	if h == nil {
		return 0, "", errors.New("resource: the runtime has no " + schedMetric)
	}
	if len(s.last) != len(h.Counts) {
		s.last = append(s.last[:0], h.Counts...)
		s.counts = make([]uint64, len(h.Counts))
		return 0, "", errFirst
	}
	total := uint64(0)
	for i, n := range h.Counts {
		s.counts[i] = n - s.last[i]
		total += s.counts[i]
	}
	if total < schedSamples {
		return 1, "sched", nil // they count with those of the next interval
	}
	copy(s.last, h.Counts)
	if slow := percentile99(s.counts, h.Buckets, total); slow > schedSlow {
		return KneeCPU * schedSlow / slow, "sched", nil
	}
	return 1, "sched", nil
}

// percentile99 is the lower bound of the bucket that holds the 99th percentile; of few samples, the second largest: a
// single one proves nothing.
func percentile99(counts []uint64, buckets []float64, total uint64) float64 {
	above := max(2, (total+99)/100)
	for i := len(counts) - 1; i >= 0; i-- {
		if counts[i] >= above {
			return max(buckets[i], 0) // the first bucket's lower bound may be -Inf
		}
		above -= counts[i]
	}
	return math.Inf(-1)
}
