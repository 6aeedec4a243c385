package kind

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/cutset-dev/cutset/executor/local"
)

// docker runs the engine's command line, and returns what it printed.
func docker(ctx context.Context, args ...string) (string, error) {
	result, err := local.Run(ctx, local.Cmd{Path: "docker", Args: args})
	return strings.TrimSpace(string(result.Stdout)), err
}

// container is what the engine says about one.
type container struct {
	State struct {
		Status    string // created, running, paused, exited, dead
		Pid       int
		StartedAt string
	}
}

func inspect(ctx context.Context, name string) (container, error) {
	text, err := docker(ctx, "container", "inspect", name)
	if err != nil {
		return container{}, err
	}
	var found []container
	if err := json.Unmarshal([]byte(text), &found); err != nil || len(found) != 1 {
		return container{}, fmt.Errorf("inspect container %s: %d found, %w", name, len(found), err)
	}
	return found[0], nil
}
