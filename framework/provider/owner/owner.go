// Package owner names the process that a run belongs to, so that another one can tell whether the run goes on.
package owner

import (
	"errors"
	"fmt"
	"os"

	"github.com/shirou/gopsutil/v3/process"
)

// ErrRunning is returned for a cluster whose run has not ended.
var ErrRunning = errors.New("the run is still going on")

// Owner is a process. Its JSON is part of a cluster's state file.
type Owner struct {
	PID  int   `json:"owner"` // as the user sees it
	Born int64 `json:"born"`  // milliseconds since the epoch
}

// Self is this process.
func Self() Owner { return Owner{os.Getpid(), born(os.Getpid())} }

// Ended returns nil when the process has ended, and otherwise an [ErrRunning] that names it.
func (o Owner) Ended() error {
	const skew = 2000 // the clock from which births are reckoned is set in whole seconds
	if at := born(o.PID); at != 0 && at-o.Born < skew && o.Born-at < skew {
		return fmt.Errorf("%w, as process %d; stop that one first", ErrRunning, o.PID)
	}
	return nil
}

// born is 0 for a process that there is not.
func born(pid int) int64 {
	p, err := process.NewProcess(int32(pid)) //nolint:gosec // process ids fit
	if err != nil {
		return 0
	}
	at, _ := p.CreateTime()
	return at
}
