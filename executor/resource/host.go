package resource

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/disk"
	"github.com/shirou/gopsutil/v3/mem"
)

// errFirst is the error of a source that needs two readings, at its first.
var errFirst = errors.New("resource: first reading of a counter")

// host makes the sources of this machine. root is "/", or a copy of the pseudo file systems in tests.
type host struct {
	root   string
	groups *cgroup
}

func newHost(root string) *host { return &host{root: root, groups: findCgroup(root)} }

// sourceFunc is a function as a Source.
type sourceFunc func(ctx context.Context) (float64, string, error)

// Read calls f.
func (f sourceFunc) Read(ctx context.Context) (float64, string, error) { return f(ctx) }

// narrowest returns the reading with the least idle share; a source that is not there is left out.
func narrowest(ctx context.Context, sources ...sourceFunc) (float64, string, error) {
	idle, name := 2.0, ""
	var errs []error
	for _, read := range sources {
		v, from, err := read(ctx)
		switch {
		case err != nil:
			errs = append(errs, err)
		case v < idle:
			idle, name = v, from
		}
	}
	if name == "" {
		return 0, "", errors.Join(errs...)
	}
	return idle, name, nil
}

func (h *host) cpu() Source {
	usage := rate{read: h.groups.cpuSeconds}
	hostCPU, sched := &hostCPU{}, newSchedLatency()
	return sourceFunc(func(ctx context.Context) (float64, string, error) {
		return narrowest(ctx, hostCPU.read, sched.idle, func(context.Context) (float64, string, error) {
			cores, err := h.groups.cpuLimit()
			if err != nil {
				return 0, "", err
			}
			used, err := usage.next(time.Now())
			return 1 - used/cores, h.groups.name, err
		})
	})
}

func (h *host) memory() Source {
	stall := h.stall("memory")
	return sourceFunc(func(ctx context.Context) (float64, string, error) {
		return narrowest(ctx, hostMemory, stall, func(context.Context) (float64, string, error) {
			idle, err := h.groups.memoryIdle()
			return idle, h.groups.name, err
		})
	})
}

func (h *host) io() Source {
	stall := h.stall("io")
	disks := &hostDisks{}
	return sourceFunc(func(ctx context.Context) (float64, string, error) {
		idle, name, err := stall(ctx)
		if errors.Is(err, errUnlimited) { // a kernel without PSI
			return disks.read(ctx)
		}
		if errors.Is(err, errFirst) { // nothing is known yet; the next sample tells
			idle, name, err = 1, "psi", nil
		}
		return idle, name, err
	})
}

// stall reads the share of time in which nobody waited for the resource.
func (h *host) stall(resource string) sourceFunc {
	total := rate{read: func() (float64, error) { return h.groups.pressure(h.root, resource) }}
	return func(context.Context) (float64, string, error) {
		waited, err := total.next(time.Now())
		return 1 - waited, "psi", err
	}
}

// rate turns a counter of seconds into a share of the time between two readings.
type rate struct {
	read func() (float64, error)
	at   time.Time
	last float64
}

func (r *rate) next(now time.Time) (float64, error) {
	value, err := r.read()
	if err != nil {
		return 0, err
	}
	first, elapsed, before := r.at.IsZero(), now.Sub(r.at).Seconds(), r.last
	r.at, r.last = now, value
	if first || elapsed <= 0 {
		return 0, errFirst
	}
	return max(value-before, 0) / elapsed, nil
}

// hostCPU keeps its own differences: cpu.Percent keeps them in the package, where two users spoil each other.
type hostCPU struct{ last *cpu.TimesStat }

func (c *hostCPU) read(ctx context.Context) (float64, string, error) {
	times, err := cpu.TimesWithContext(ctx, false)
	if err != nil {
		return 0, "", fmt.Errorf("cpu times: %w", err)
	}
	if len(times) == 0 {
		return 0, "", errors.New("resource: no cpu times")
	}
	last, now := c.last, times[0]
	c.last = &now
	if last == nil {
		return 1, "host", nil // nothing is known yet; the next sample tells
	}
	sum := func(t *cpu.TimesStat) float64 { // guest time is part of user time
		return t.User + t.System + t.Idle + t.Nice + t.Iowait + t.Irq + t.Softirq + t.Steal
	}
	elapsed := sum(&now) - sum(last)
	if elapsed <= 0 {
		return 0, "", errors.New("resource: cpu times did not advance")
	}
	// Waiting for I/O leaves the processor free; time that the hypervisor stole does not.
	return (now.Idle + now.Iowait - last.Idle - last.Iowait) / elapsed, "host", nil
}

func hostMemory(ctx context.Context) (float64, string, error) {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return 0, "", fmt.Errorf("memory: %w", err)
	}
	if m.Total == 0 {
		return 0, "", errors.New("resource: memory of size 0")
	}
	return float64(m.Available) / float64(m.Total), "host", nil
}

// hostDisks is the busiest disk's share of time without a request.
type hostDisks struct {
	at   time.Time
	last map[string]uint64
}

func (d *hostDisks) read(ctx context.Context) (float64, string, error) {
	counters, err := disk.IOCountersWithContext(ctx)
	if err != nil {
		return 0, "", fmt.Errorf("disks: %w", err)
	}
	now := time.Now()
	elapsed := now.Sub(d.at).Seconds() * 1000
	first, idle := d.at.IsZero(), 1.0
	next := make(map[string]uint64, len(counters))
	for name, c := range counters {
		if strings.HasPrefix(name, "loop") || strings.HasPrefix(name, "ram") {
			continue
		}
		next[name] = c.IoTime
		if before, ok := d.last[name]; ok && !first && c.IoTime >= before && elapsed > 0 {
			idle = min(idle, 1-float64(c.IoTime-before)/elapsed)
		}
	}
	d.at, d.last = now, next
	return idle, "host", nil
}
