// Package nodemetrics knows how short the nodes of a Kubernetes cluster are of CPU and memory, so that the timeouts of
// commands to a pod follow the load of the machine that it runs on, and not only that of the machine that asks. It is
// the second, optional source of load beside package resource.
//
// Usage is that of the metrics API (metrics.k8s.io/v1beta1, i.e. metrics-server), related to the node's allocatable
// resources. It is fetched in the background, and never waited for. The account needs the verb "list" on nodes of the
// API groups "" and "metrics.k8s.io", and on pods in the namespaces of its targets.
package nodemetrics

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/rest"

	"github.com/cutset-dev/cutset/executor"
	local "github.com/cutset-dev/cutset/executor/resource"
)

// DefaultInterval is how often metrics are fetched. metrics-server has new ones every 15 s, if not told otherwise.
const DefaultInterval = 10 * time.Second

const (
	// roundLimit is what one round of requests gets.
	roundLimit = 5 * time.Second
	// staleRounds without a new measurement make a node count as at least staleScarcity, as in package resource: what
	// cannot be measured is not idle. It is more than there, since metrics may well be a minute apart.
	staleRounds   = 12
	staleScarcity = .5
	// listRounds is how many rounds a list of nodes is good for; what is allocatable hardly changes.
	listRounds = 6
)

// Options describes where metrics come from, and what they are about.
type Options struct {
	// REST is the connection to the API server. Required.
	REST *rest.Config
	// Local is the load of this machine, e.g. a *resource.Monitor. nil takes it to be idle.
	Local executor.Monitor
	// Namespaces are those of the pods that are targets. A target is namespace/pod, with or without /container, as in
	// package podexec; or the name of a node.
	Namespaces []string
	// NodeOf replaces that: it returns the name of the node of a target, "" if it has none. It is called for every
	// command, and must return a cached value at once.
	NodeOf func(target string) string
	// Interval between rounds. Default DefaultInterval.
	Interval time.Duration
}

// Node is what is known of a node.
type Node struct {
	// CPU and Memory are the idle shares (0..1) of what is allocatable.
	CPU    float64 `json:"cpu"`
	Memory float64 `json:"memory"`
	// At is when the measurement was first seen here, by this machine's clock.
	At time.Time `json:"at"`
	// Scarcity and Resource are as in executor.Load.
	Scarcity float64 `json:"scarcity"`
	Resource string  `json:"resource,omitempty"`
}

// Snapshot is the result of one round.
type Snapshot struct {
	Time  time.Time       `json:"time"`
	Nodes map[string]Node `json:"nodes"`
	// Err is why the round failed, "" if it did not; the nodes are those of before then.
	Err string `json:"error,omitempty"`

	nodeOf map[string]string // namespace/pod
}

// Monitor is an executor.TargetMonitor. Its zero value is not usable; see Start.
type Monitor struct {
	local    executor.Monitor
	nodeOf   func(string) string
	interval time.Duration
	api      *api
	snapshot atomic.Pointer[Snapshot]
	stop     context.CancelFunc
	stopped  chan struct{}

	// Of the goroutine that fetches.
	rounds      int // since the last list of nodes
	allocatable map[string]corev1.ResourceList
	nodes       map[string]Node
	timestamps  map[string]time.Time // of the API, to see whether a measurement is a new one
	pods        map[string]string
}

var _ executor.TargetMonitor = (*Monitor)(nil)

// Start fetches metrics until Stop. It does not wait for the first ones: until then, and where there is no metrics
// API, targets are taken to be idle.
func Start(o Options) (*Monitor, error) {
	if o.REST == nil {
		return nil, errors.New("nodemetrics: Options.REST is required")
	}
	client, err := newAPI(o.REST, o.Namespaces)
	if err != nil {
		return nil, fmt.Errorf("nodemetrics: %w", err)
	}
	if o.Interval <= 0 {
		o.Interval = DefaultInterval
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &Monitor{
		local: o.Local, nodeOf: o.NodeOf, interval: o.Interval, api: client, stop: cancel, stopped: make(chan struct{}),
		nodes: make(map[string]Node), timestamps: make(map[string]time.Time),
	}
	m.snapshot.Store(&Snapshot{Time: time.Now()})
	go m.run(ctx)
	return m, nil
}

// Stop ends fetching, and a request in progress; the last snapshot stays.
func (m *Monitor) Stop() {
	m.stop()
	<-m.stopped
}

// Load is that of this machine.
func (m *Monitor) Load() executor.Load {
	if m.local == nil {
		return executor.Load{}
	}
	return m.local.Load()
}

// TargetLoad is that of the target's node; nothing, if that is not known.
func (m *Monitor) TargetLoad(target string) executor.Load {
	s := m.snapshot.Load()
	node := target
	switch {
	case m.nodeOf != nil:
		node = m.nodeOf(target)
	case strings.IndexByte(target, '/') >= 0:
		pod := target
		if first := strings.IndexByte(target, '/'); strings.Count(target, "/") > 1 {
			pod = target[:first+1+strings.IndexByte(target[first+1:], '/')]
		}
		node = s.nodeOf[pod]
	}
	n := s.Nodes[node]
	return executor.Load{Scarcity: n.Scarcity, Resource: n.Resource}
}

// Snapshot returns what the latest round brought. Its map must not be changed.
func (m *Monitor) Snapshot() Snapshot { return *m.snapshot.Load() }

func (m *Monitor) run(ctx context.Context) {
	defer close(m.stopped)
	tick := time.NewTicker(m.interval)
	defer tick.Stop()
	for {
		m.round(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// round fetches what there is, and publishes it with what is still known from before.
func (m *Monitor) round(life context.Context) {
	ctx, cancel := context.WithTimeout(life, roundLimit)
	defer cancel()
	err := m.fetch(ctx)
	if life.Err() != nil {
		return // stopped in the middle; that is nothing about the nodes
	}
	now := time.Now()
	s := &Snapshot{Time: now, Nodes: maps.Clone(m.nodes), nodeOf: m.pods}
	if err != nil {
		s.Err = err.Error()
	}
	for name, n := range s.Nodes {
		n.Scarcity, n.Resource = scarcity(n)
		if now.Sub(n.At) > staleRounds*m.interval && n.Scarcity < staleScarcity {
			n.Scarcity, n.Resource = staleScarcity, "unknown"
		}
		s.Nodes[name] = n
	}
	m.snapshot.Store(s)
}

// scarcity is that of the bottleneck, by the knees of package resource.
func scarcity(n Node) (float64, string) {
	cpu := min(max((local.KneeCPU-n.CPU)/local.KneeCPU, 0), 1)
	memory := min(max((local.KneeMemory-n.Memory)/local.KneeMemory, 0), 1)
	switch {
	case cpu == 0 && memory == 0:
		return 0, ""
	case memory > cpu:
		return memory, "memory"
	}
	return cpu, "cpu"
}

// fetch updates what is known. One request that fails does not keep the others from being made.
func (m *Monitor) fetch(ctx context.Context) error {
	var errs []error
	usage, err := m.api.usage(ctx)
	errs = append(errs, err)
	if m.rounds--; m.rounds < 0 || m.unknown(usage) {
		allocatable, err := m.api.allocatable(ctx)
		errs = append(errs, err)
		if err == nil {
			m.rounds, m.allocatable = listRounds, allocatable
			maps.DeleteFunc(m.nodes, func(name string, _ Node) bool { return allocatable[name] == nil })
			maps.DeleteFunc(m.timestamps, func(name string, _ time.Time) bool { return allocatable[name] == nil })
		}
	}
	for _, u := range usage {
		have := m.allocatable[u.Metadata.Name]
		if have == nil || u.Timestamp.Time.Equal(m.timestamps[u.Metadata.Name]) {
			continue
		}
		// The age of a measurement is counted from here on: the clocks of two machines need not agree.
		m.timestamps[u.Metadata.Name] = u.Timestamp.Time
		m.nodes[u.Metadata.Name] = Node{
			CPU:    idle(u.Usage[corev1.ResourceCPU], have[corev1.ResourceCPU]),
			Memory: idle(u.Usage[corev1.ResourceMemory], have[corev1.ResourceMemory]),
			At:     time.Now(),
		}
	}
	if m.nodeOf == nil {
		pods, err := m.api.pods(ctx)
		errs = append(errs, err)
		if err == nil {
			m.pods = pods
		}
	}
	return errors.Join(errs...)
}

// unknown reports whether there is a node whose size is not known.
func (m *Monitor) unknown(usage []nodeUsage) bool {
	for _, u := range usage {
		if m.allocatable[u.Metadata.Name] == nil {
			return true
		}
	}
	return false
}

func idle(used, have resource.Quantity) float64 {
	if have.IsZero() {
		return 1 // not told, so not scarce
	}
	return min(max(1-used.AsApproximateFloat64()/have.AsApproximateFloat64(), 0), 1)
}
