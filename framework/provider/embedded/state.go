package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/cutset-dev/cutset/framework/provider"
	"github.com/cutset-dev/cutset/framework/provider/owner"
)

// state is what another process needs to know to heal or clean up after a killed run.
type state struct {
	Options Options `json:"options"`
	World   bool    `json:"world"` // of namespaces: it ended with its process
	owner.Owner
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
	s := state{Options: c.options, World: c.network != nil, Owner: owner.Self()}
	if s.World {
		if _, err := fmt.Sscanf(os.Getenv(outerEnv), "%d:%d", &s.PID, &s.Born); err != nil {
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
	if err := s.Ended(); err != nil {
		return nil, err
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
