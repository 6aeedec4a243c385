package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/shirou/gopsutil/v3/process"

	"github.com/cutset-dev/cutset/framework/provider"
)

// state is what another process needs to know to heal or clean up after a killed run.
type state struct {
	Options   Options         `json:"options"`
	World     bool            `json:"world"` // of namespaces: it ended with its process
	Owner     int             `json:"owner"` // process id, as the user sees it
	Born      int64           `json:"born"`  // of the owner, milliseconds since the epoch
	Instances []provider.Spec `json:"instances"`
}

func (c *Cluster) record() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.recordLocked()
}

func (c *Cluster) recordLocked() error {
	if c.options.State == "" {
		return nil
	}
	s := state{Options: c.options, World: c.network != nil, Owner: os.Getpid(), Born: born(os.Getpid())}
	if s.World {
		if _, err := fmt.Sscanf(os.Getenv(outerEnv), "%d:%d", &s.Owner, &s.Born); err != nil {
			return fmt.Errorf("read the outer process from %s: %w", outerEnv, err)
		}
	}
	for _, i := range c.instances {
		s.Instances = append(s.Instances, i.spec)
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.options.State, text, 0o600); err != nil {
		return fmt.Errorf("record the machines: %w", err)
	}
	return nil
}

func (c *Cluster) forget() error {
	if c.options.State == "" {
		return nil
	}
	if err := os.Remove(c.options.State); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func born(pid int) int64 {
	p, err := process.NewProcess(int32(pid))
	if err != nil {
		return 0
	}
	at, _ := p.CreateTime()
	return at
}

// ErrRunning is returned by [Reopen] for the cluster of a run that has not ended.
var ErrRunning = errors.New("the run is still going on")

// ErrGone is returned by [Reopen] for a cluster that ended with its run: nothing is left to heal.
var ErrGone = errors.New("the run's machines ended with it")

// Reopen takes over the cluster that a killed run recorded in the state file, to heal it or to
// close it. It is for another process than the one that opened it.
func Reopen(stateFile string) (*Cluster, error) {
	text, err := os.ReadFile(stateFile) //nolint:gosec // the caller's file
	if err != nil {
		return nil, err
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("read %s: %w", stateFile, err)
	}
	const skew = 2000 // the clock from which births are reckoned is set in whole seconds
	if at := born(s.Owner); at != 0 && at-s.Born < skew && s.Born-at < skew {
		return nil, fmt.Errorf("%w, as process %d; stop that one first", ErrRunning, s.Owner)
	}
	if s.World {
		return nil, ErrGone
	}
	c := &Cluster{
		options: s.Options, base: baseOf(s.Options.Run), reason: "taken over from a killed run",
		machines: map[string]*machine{}, instances: map[string]*instance{},
	}
	for at, name := range s.Options.Machines {
		if err := c.addMachine(at, name); err != nil {
			return nil, err
		}
	}
	for _, spec := range s.Instances {
		m, err := c.machine(spec.Machine)
		if err != nil {
			return nil, err
		}
		c.instances[spec.Name] = newInstance(c, m, spec)
	}
	return c, nil
}
