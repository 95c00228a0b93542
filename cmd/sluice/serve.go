package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/cmd/sluice/access"
	"sluice/runtime/sandbox/containerd"
	"sluice/store"
)

// Values of --sandbox.
const (
	sandboxContainerd = "containerd"
	sandboxProcess    = "process"
)

// Where a daemon listens unless told otherwise: Triton's ports.
const (
	httpListenDefault    = "127.0.0.1:8000"
	metricsListenDefault = "127.0.0.1:8002"
)

// serveFlags is how a daemon is to run.
type serveFlags struct {
	stateFolder         string // absolute
	store               string // URL of a Redis; empty: a file in the state folder
	listen              string
	httpListen          string // empty: the gateway speaks gRPC alone
	metricsListen       string
	controlListen       string // empty: tenants do not reach the control API
	certificates        access.CertificateFiles
	anonymousTenant     string // empty: requests need an API key
	sharedMemoryFolder  string // empty: shared memory is not served
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
			"stops functions' instances as requests come. SIGTERM ends it alone: what runs goes on, and the next daemon adopts it. SIGINT\n" +
			"(and `sluice drain`) ends what it runs, too. Every flag is a key of the configuration file and a variable too:\n" +
			"`sluice config template` lists them.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := loadSettings(g, daemonSettings(new(serveFlags)), cmd.Flags()); err != nil {
				return err
			}
			if err := flags.complete(g); err != nil {
				return err
			}
			log := slog.New(slog.NewTextHandler(os.Stderr, nil))
			ctx, cancel := stopContext()
			defer cancel()
			return serve(ctx, flags, log)
		},
	}
	flags.register(command.Flags())
	return command
}

// register declares the settings of the daemon. They are in the configuration file and the environment by that alone.
func (f *serveFlags) register(set *pflag.FlagSet) {
	set.StringVar(&f.listen, "listen", listenDefault, "where the gateway serves gRPC")
	set.StringVar(&f.httpListen, "http-listen", httpListenDefault, "where the gateway serves the same protocol over HTTP; empty: nowhere")
	set.StringVar(&f.store, "store", "", "where functions, tenants and keys are kept: a Redis as redis://host:6379 (docs/store.md; default store.bolt in the state folder)")
	set.StringVar(&f.controlListen, "control-listen", "", "where tenants reach the control API with their API keys, over TLS; empty: nowhere")
	set.StringVar(&f.certificates.Certificate, "tls-certificate", "", "the PEM certificate of the gateway and of --control-listen, read again when it changes; empty: the gateway speaks no TLS")
	set.StringVar(&f.certificates.Key, "tls-key", "", "the certificate's private key")
	set.StringVar(&f.certificates.ClientCA, "tls-client-ca", "", "the CA whose certificates clients must show; empty: they need none")
	set.StringVar(&f.metricsListen, "metrics-listen", metricsListenDefault, "where /metrics is served over HTTP")
	set.StringVar(&f.anonymousTenant, "anonymous-tenant", store.DefaultTenant, "whose the requests without an API key are; empty refuses them")
	set.StringVar(&f.sharedMemoryFolder, "shared-memory-folder", "", "the folder, such as /dev/shm, in which clients of this host may share files with the gateway (docs/protocol.md); empty: none")
	set.StringVar(&f.sandbox, "sandbox", sandboxContainerd, "how functions are confined: containerd, or process (not at all)")
	set.StringVar(&f.containerdAddress, "containerd-address", containerd.DefaultAddress, "containerd's socket")
	set.StringVar(&f.containerdNamespace, "containerd-namespace", containerd.DefaultNamespace, "containerd's namespace for images and containers")
	set.StringVar(&f.worker, "worker", "", "the program that serves a lease (default sluice-worker beside this program)")
	set.StringVar(&f.shim, "shim", "", "the library that programs are given (default ../lib/sluice/libsluice-opencl.so from this program)")
	set.IntVar(&f.warmWorkers, "warm-workers", 1, "workers that wait with the driver loaded")
}

// check reports values that no host can serve with.
func (f *serveFlags) check() error {
	if f.sandbox != sandboxContainerd && f.sandbox != sandboxProcess {
		return fmt.Errorf("--sandbox is %q, must be %s or %s", f.sandbox, sandboxContainerd, sandboxProcess)
	}
	if f.warmWorkers < 1 {
		return fmt.Errorf("--warm-workers is %d, must be at least 1", f.warmWorkers)
	}
	switch {
	case (f.certificates.Certificate == "") != (f.certificates.Key == ""):
		return errors.New("--tls-certificate and --tls-key need each other")
	case f.certificates.ClientCA != "" && f.certificates.Certificate == "":
		return errors.New("--tls-client-ca needs --tls-certificate")
	case f.controlListen != "" && f.certificates.Certificate == "":
		return errors.New("--control-listen needs --tls-certificate: API keys do not travel in the clear")
	case f.controlListen != "" && f.sandbox != sandboxContainerd:
		return fmt.Errorf("--control-listen needs --sandbox %s: a plain process of a tenant could do anything here", sandboxContainerd)
	}
	return nil
}

// complete checks the values and what they name.
func (f *serveFlags) complete(g *globals) error {
	if err := f.check(); err != nil {
		return err
	}
	if err := f.locate(g); err != nil {
		return err
	}
	for flag, path := range map[string]string{"worker": f.worker, "shim": f.shim} {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("--%s: %w; `make build` makes it, `sluice doctor` examines the host", flag, err)
		}
	}
	return nil
}

// locate fills in what lies beside the running program.
func (f *serveFlags) locate(g *globals) (err error) {
	if f.stateFolder, err = filepath.Abs(g.stateFolder); err != nil {
		return err
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
		f.shim = filepath.Join(folder, "../lib/sluice/libsluice-opencl.so")
	}
	return nil
}
