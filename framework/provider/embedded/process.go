package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/shirou/gopsutil/v3/process"
	"golang.org/x/sys/unix"

	"github.com/cutset-dev/cutset/framework/provider/processes"
)

// onHost is the part of this host's process table that matches, as it is at the time of the call.
type onHost func() (match func(pid int) bool)

var _ processes.Table = onHost(nil)

// List implements [processes.Table].
func (h onHost) List(context.Context) ([]processes.Process, error) {
	pids, err := process.Pids()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	match := h()
	var found []processes.Process
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
		found = append(found, processes.Process{
			PID: int(pid), Name: name, Born: born, Stopped: status[0] == process.Stop, Waiting: status[0] == process.Blocked,
		})
	}
	sort.Slice(found, func(i, j int) bool {
		return found[i].Born < found[j].Born || found[i].Born == found[j].Born && found[i].PID < found[j].PID
	})
	return found, nil
}

// Signal implements [processes.Table].
func (onHost) Signal(_ context.Context, signal unix.Signal, to []processes.Process) error {
	for _, p := range to {
		if err := unix.Kill(p.PID, signal); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("process %d, %s: %w", p.PID, p.Name, err)
		}
	}
	return nil
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
