// Package metrics exports an executor's counters to Prometheus, on a registry that the caller owns. Labels are class,
// outcome and reason only: targets are pods and machines, of which there are too many for labels.
package metrics

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cutset-dev/cutset/executor"
)

// Metrics observes attempts and collects counters. Make it first, give its Observe to the executor, and
// then Register the executor:
//
//	m := metrics.New()
//	ex, err := executor.New(classes, executor.WithObserver(m.Observe))
//	...
//	err = m.Register(registry, ex)
type Metrics struct {
	executor atomic.Pointer[executor.Executor]
	run      *prometheus.HistogramVec
	wait     *prometheus.HistogramVec
	timeout  *prometheus.HistogramVec
}

var _ prometheus.Collector = (*Metrics)(nil)

// New makes the histograms: executor_run_seconds and executor_timeout_seconds by class and outcome, and
// executor_wait_seconds by class.
func New() *Metrics {
	buckets := prometheus.ExponentialBuckets(.001, 2.5, 14) // 1 ms to 149 s
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	return &Metrics{
		run:     histogram("executor_run_seconds", "Run time of attempts.", "class", "outcome"),
		wait:    histogram("executor_wait_seconds", "Time that attempts waited for a slot.", "class"),
		timeout: histogram("executor_timeout_seconds", "Timeouts that attempts were given.", "class"),
	}
}

// Observe takes the record of one attempt.
func (m *Metrics) Observe(r executor.AttemptRecord) {
	m.run.WithLabelValues(r.Class, r.Outcome).Observe(r.Elapsed.Seconds())
	m.wait.WithLabelValues(r.Class).Observe(r.Queued.Seconds())
	m.timeout.WithLabelValues(r.Class).Observe(r.Timeout.Seconds())
}

// Register exports m with the counters of ex.
func (m *Metrics) Register(registry prometheus.Registerer, ex *executor.Executor) error {
	m.executor.Store(ex)
	return registry.Register(m)
}

// metric is one number of a class.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(executor.ClassStats) float64
	label string // of the second label, if there is one
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	limitDesc    = desc("executor_limit", "Slots of all classes together, now.")
	scarcityDesc = desc("executor_load_scarcity", "Scarcity of the scarcest resource, 0 to 1.")
	alertsDesc   = desc("executor_alerts_total", "Alerts by what became of them.", "result")
	recordsDesc  = desc("executor_records_dropped_total", "Attempt records that slow observers lost.")
)

// perClass lists the numbers of a class; those of a family follow one another.
var perClass = func() []metric {
	one := func(name, help string, kind prometheus.ValueType, value func(executor.ClassStats) float64) metric {
		return metric{desc: desc(name, help, "class"), kind: kind, value: value}
	}
	refused := desc("executor_refused_total", "Commands that were refused.", "class", "reason")
	results := desc("executor_commands_total", "Commands by how they ended.", "class", "result")
	n := func(f func(executor.ClassStats) int64) func(executor.ClassStats) float64 {
		return func(c executor.ClassStats) float64 { return float64(f(c)) }
	}
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	return []metric{
		one("executor_inflight", "Commands that run.", gauge, func(c executor.ClassStats) float64 { return float64(c.InFlight) }),
		one("executor_queued", "Commands that wait.", gauge, func(c executor.ClassStats) float64 { return float64(c.Queued) }),
		one("executor_quarantined", "Abandoned commands that have not returned.", gauge, func(c executor.ClassStats) float64 { return float64(c.Quarantined) }),
		one("executor_attempts_total", "Attempts that started.", counter, n(func(c executor.ClassStats) int64 { return c.Attempts })),
		one("executor_timeouts_total", "Attempts that timed out.", counter, n(func(c executor.ClassStats) int64 { return c.Timeouts })),
		one("executor_abandoned_total", "Attempts that ignored cancellation and kill.", counter, n(func(c executor.ClassStats) int64 { return c.Abandoned })),
		one("executor_late_total", "Abandoned attempts that came back.", counter, n(func(c executor.ClassStats) int64 { return c.Late })),
		one("executor_retries_total", "Retries that were started.", counter, n(func(c executor.ClassStats) int64 { return c.Retries })),
		one("executor_retries_denied_total", "Retries that were not affordable.", counter, n(func(c executor.ClassStats) int64 { return c.RetriesDenied })),
		one("executor_rescues_total", "Starts out of weight order, against starvation.", counter, n(func(c executor.ClassStats) int64 { return c.Rescues })),
		one("executor_panics_total", "Panics of commands.", counter, n(func(c executor.ClassStats) int64 { return c.Panics })),
		{results, counter, n(func(c executor.ClassStats) int64 { return c.Succeeded }), "succeeded"},
		{results, counter, n(func(c executor.ClassStats) int64 { return c.Answered }), "answered"},
		{results, counter, n(func(c executor.ClassStats) int64 { return c.GivenUp }), "given_up"},
		{results, counter, n(func(c executor.ClassStats) int64 { return c.Cancelled }), "cancelled"},
		{refused, counter, n(func(c executor.ClassStats) int64 { return c.QueueFull }), "queue_full"},
		{refused, counter, n(func(c executor.ClassStats) int64 { return c.Shed }), "shed"},
		{refused, counter, n(func(c executor.ClassStats) int64 { return c.Quarantine }), "quarantine"},
		{refused, counter, n(func(c executor.ClassStats) int64 { return c.TargetStuck }), "target_stuck"},
		{refused, counter, n(func(c executor.ClassStats) int64 { return c.Closed }), "closed"},
	}
}()

// Describe sends all descriptions.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, h := range []*prometheus.HistogramVec{m.run, m.wait, m.timeout} {
		h.Describe(ch)
	}
	last := (*prometheus.Desc)(nil)
	for _, p := range perClass {
		if p.desc != last {
			ch <- p.desc
		}
		last = p.desc
	}
	for _, d := range []*prometheus.Desc{limitDesc, scarcityDesc, alertsDesc, recordsDesc} {
		ch <- d
	}
}

// Collect sends the present values.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, h := range []*prometheus.HistogramVec{m.run, m.wait, m.timeout} {
		h.Collect(ch)
	}
	ex := m.executor.Load()
	if ex == nil {
		return
	}
	stats := ex.Stats()
	for _, c := range stats.Classes {
		for _, p := range perClass {
			labels := []string{c.Class}
			if p.label != "" {
				labels = append(labels, p.label)
			}
			ch <- prometheus.MustNewConstMetric(p.desc, p.kind, p.value(c), labels...)
		}
	}
	const counter = prometheus.CounterValue
	ch <- prometheus.MustNewConstMetric(limitDesc, prometheus.GaugeValue, float64(stats.Limit))
	ch <- prometheus.MustNewConstMetric(scarcityDesc, prometheus.GaugeValue, stats.Scarcity)
	ch <- prometheus.MustNewConstMetric(alertsDesc, counter, float64(stats.AlertsDelivered), "delivered")
	ch <- prometheus.MustNewConstMetric(alertsDesc, counter, float64(stats.AlertsDropped), "dropped")
	ch <- prometheus.MustNewConstMetric(recordsDesc, counter, float64(stats.RecordsDropped))
}
