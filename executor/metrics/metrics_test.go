package metrics_test

import (
	"context"
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/executor/metrics"
)

func TestMetrics(t *testing.T) {
	m := metrics.New()
	ex, err := executor.New([]executor.Class{{Name: "a", Weight: 1, MaxParallel: 2}}, executor.WithSinks(), executor.WithObserver(m.Observe))
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry() // checks that Collect keeps to Describe
	if err := m.Register(registry, ex); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		_, _ = executor.Do(t.Context(), ex, executor.Command[int]{Class: "a", Run: func(context.Context, executor.Attempt) (int, error) {
			if i%2 == 0 {
				return 0, errors.New("even")
			}
			return 0, nil
		}})
	}
	if err := ex.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, sample := range f.GetMetric() {
			name := f.GetName()
			for _, l := range sample.GetLabel() {
				if l.GetName() != "class" {
					name += " " + l.GetValue()
				}
			}
			got[name] = sample.GetCounter().GetValue() + sample.GetGauge().GetValue() + float64(sample.GetHistogram().GetSampleCount())
		}
	}
	for name, want := range map[string]float64{
		"executor_commands_total succeeded": 5, "executor_commands_total given_up": 5, "executor_attempts_total": 10,
		"executor_run_seconds ok": 5, "executor_run_seconds error": 5, "executor_wait_seconds": 10, "executor_limit": 2,
		"executor_inflight": 0, "executor_refused_total shed": 0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (there: %v), want %v", name, v, ok, want)
		}
	}
}
