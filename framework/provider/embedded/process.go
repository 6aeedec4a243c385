package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v3/process"
	"golang.org/x/sys/unix"

	"github.com/cutset-dev/cutset/framework/provider"
)

// proc is a live process, as /proc shows it.
type proc struct {
	pid     int
	name    string
	stopped bool
	// waiting in the kernel, uninterrupted, as for the child of a vfork. With a SIGSTOP before it, it does not run on
	// either, and shows no stopped state as long as it waits.
	waiting bool
	born    int64 // milliseconds since the epoch
}

// listProcesses returns the processes that match, oldest first, without the ones that only wait to be reaped.
func listProcesses(match func(pid int) bool) ([]proc, error) {
	pids, err := process.Pids()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []proc
	for _, pid := range pids {
		if int(pid) == os.Getpid() || !match(int(pid)) {
			continue
		}
		p := process.Process{Pid: pid}
		status, err := p.Status()
		if err != nil || len(status) == 0 || status[0] == process.Zombie {
			continue // gone since, or dead already
		}
		name, _ := p.Name()
		born, _ := p.CreateTime()
		found = append(found, proc{
			pid: int(pid), name: name, born: born, stopped: status[0] == process.Stop, waiting: status[0] == process.Blocked,
		})
	}
	sort.Slice(found, func(i, j int) bool {
		return found[i].born < found[j].born || found[i].born == found[j].born && found[i].pid < found[j].pid
	})
	return found, nil
}

// runsBelow matches processes whose working directory is dir or below it. A program's children keep it,
// also when they lost their parent, and it can be read by a process that started none of them.
func runsBelow(dir string) func(pid int) bool {
	return func(pid int) bool {
		cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		cwd = strings.TrimSuffix(cwd, " (deleted)")
		return err == nil && (cwd == dir || strings.HasPrefix(cwd, dir+string(filepath.Separator)))
	}
}

func pidNamespace(pid int) string {
	ns, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
	return ns
}

// processNode is a node made of processes on this host.
type processNode struct {
	name string
	list func() ([]proc, error)
	// supervised: somebody outside of the node starts it again as soon as it is dead.
	supervised bool
}

func (n *processNode) Name() string { return n.name }

// Observe implements [provider.Node].
func (n *processNode) Observe(context.Context) (provider.Observation, error) {
	procs, err := n.list()
	if err != nil {
		return provider.Observation{}, err
	}
	stopped, waiting := 0, 0
	for _, p := range procs {
		switch {
		case p.stopped:
			stopped++
		case p.waiting:
			waiting++
		}
	}
	o := provider.Observation{State: provider.Partial}
	switch {
	case len(procs) == 0:
		o.State = provider.Dead
	case stopped > 0 && stopped+waiting == len(procs):
		o.State = provider.Hung
	case stopped == 0:
		o.State = provider.Running
	}
	if len(procs) > 0 {
		o.Generation = fmt.Sprintf("%s[%d]@%d", procs[0].name, procs[0].pid, procs[0].born)
	}
	o.Seen = fmt.Sprintf("%d processes, %d of them stopped, %d waiting in the kernel", len(procs), stopped, waiting)
	return o, nil
}

// Crash implements [provider.Node].
func (n *processNode) Crash(ctx context.Context) error {
	spared := func(proc, bool) bool { return false }
	if n.supervised {
		doomed, err := n.list()
		if err != nil {
			return err
		}
		spared = func(p proc, _ bool) bool {
			return !slices.ContainsFunc(doomed, func(d proc) bool { return d.pid == p.pid && d.born == p.born })
		}
	}
	return n.signalUntil(ctx, unix.SIGKILL, spared)
}

// Hang implements [provider.Node].
func (n *processNode) Hang(ctx context.Context) error {
	return n.signalUntil(ctx, unix.SIGSTOP, func(p proc, sent bool) bool { return p.stopped || sent && p.waiting })
}

// Resume implements [provider.Node].
func (n *processNode) Resume(ctx context.Context) error {
	return n.signalUntil(ctx, unix.SIGCONT, func(p proc, sent bool) bool { return sent && !p.stopped })
}

// signalUntil sends the signal to every process of the node that is not done yet, again and again until
// none is left: while the list is read, a process may fork. sent says that it was sent the signal before.
func (n *processNode) signalUntil(ctx context.Context, sig unix.Signal, done func(p proc, sent bool) bool) error {
	const again = 5 * time.Millisecond
	tick := time.NewTicker(again)
	defer tick.Stop()
	sent := map[int]bool{}
	for {
		procs, err := n.list()
		if err != nil {
			return err
		}
		left := 0
		for _, p := range procs {
			if done(p, sent[p.pid]) {
				continue
			}
			left++
			sent[p.pid] = true
			if err := unix.Kill(p.pid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("send %v to %s, process %d of %s: %w", sig, p.name, p.pid, n.name, err)
			}
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("send %v to all of %s: %d processes left: %w", sig, n.name, left, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// Start implements [provider.Node] for what has no start of its own: its supervisor brings it back.
func (n *processNode) Start(context.Context) error { return nil }
