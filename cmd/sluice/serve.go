package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sluice/runtime/sandbox/containerd"
	"sluice/store"
)

// Values of --sandbox.
const (
	sandboxContainerd = "containerd"
	sandboxProcess    = "process"
)

const metricsListenDefault = "127.0.0.1:8002"

// serveFlags is how a daemon is to run.
type serveFlags struct {
	stateFolder         string // absolute
	store               string // URL of a Redis; empty: a file in the state folder
	listen              string
	metricsListen       string
	anonymousTenant     string // empty: requests need an API key
	sandbox             string
	containerdAddress   string
	containerdNamespace string
	worker              string // path of sluice-worker
	shim                string // path of libsluice-opencl.so
	warmWorkers         int
}

func newServeCommand(g *globals) *cobra.Command {
	var flags serveFlags
	command := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon of this machine",
		Long: "Runs the daemon: it serves inference requests, deploys functions, lends slices of the machine's devices, and starts and\n" +
			"stops functions' instances as requests come. SIGTERM stops it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if flags.stateFolder, err = filepath.Abs(g.stateFolder); err != nil {
				return err
			}
			if err := flags.complete(); err != nil {
				return err
			}
			log := slog.New(slog.NewTextHandler(os.Stderr, nil))
			return serve(cmd.Context(), flags, log)
		},
	}
	set := command.Flags()
	set.StringVar(&flags.listen, "listen", listenDefault, "where the gateway serves gRPC")
	set.StringVar(&flags.store, "store", "", "where functions, tenants and keys are kept: a Redis as redis://host:6379 (docs/store.md; default store.bolt in the state folder)")
	set.StringVar(&flags.metricsListen, "metrics-listen", metricsListenDefault, "where /metrics is served over HTTP")
	set.StringVar(&flags.anonymousTenant, "anonymous-tenant", store.DefaultTenant, "whose the requests without an API key are; empty refuses them")
	set.StringVar(&flags.sandbox, "sandbox", sandboxContainerd, "how functions are confined: containerd, or process (not at all)")
	set.StringVar(&flags.containerdAddress, "containerd-address", containerd.DefaultAddress, "containerd's socket")
	set.StringVar(&flags.containerdNamespace, "containerd-namespace", containerd.DefaultNamespace, "containerd's namespace for images and containers")
	set.StringVar(&flags.worker, "worker", "", "the program that serves a lease (default sluice-worker beside this program)")
	set.StringVar(&flags.shim, "shim", "", "the library that programs are given (default ../lib/libsluice-opencl.so from this program)")
	set.IntVar(&flags.warmWorkers, "warm-workers", 1, "workers that wait with the driver loaded")
	return command
}

// complete fills in what lies beside the running program and checks the rest.
func (f *serveFlags) complete() error {
	if f.sandbox != sandboxContainerd && f.sandbox != sandboxProcess {
		return fmt.Errorf("--sandbox is %q, must be %s or %s", f.sandbox, sandboxContainerd, sandboxProcess)
	}
	if f.warmWorkers < 1 {
		return fmt.Errorf("--warm-workers is %d, must be at least 1", f.warmWorkers)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	folder := filepath.Dir(self)
	if f.worker == "" {
		f.worker = filepath.Join(folder, "sluice-worker")
	}
	if f.shim == "" {
		f.shim = filepath.Join(folder, "../lib/libsluice-opencl.so")
	}
	for flag, path := range map[string]string{"worker": f.worker, "shim": f.shim} {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("--%s: %w; `make build` makes it", flag, err)
		}
	}
	return nil
}
