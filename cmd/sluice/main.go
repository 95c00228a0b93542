// Command sluice is the daemon of one machine (`sluice serve`) and the command line that speaks to it. It never loads a
// vendor's driver: sluice-worker does.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/status"

	"sluice/cmd/sluice/config"
)

const (
	stateFolderDefault = "/var/lib/sluice"
	socketName         = "sluice.sock"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := newRootCommand().ExecuteContext(ctx)
	if err == nil {
		return
	}
	var exit exitError
	if errors.As(err, &exit) {
		os.Exit(exit.code)
	}
	fmt.Fprintln(os.Stderr, "sluice:", explain(err))
	os.Exit(1)
}

// globals are the flags that every command knows.
type globals struct {
	stateFolder string
	configFile  string // empty: config.FileDefault if there is one
	tenant      string
}

func (g *globals) socket() string { return filepath.Join(g.stateFolder, socketName) }

func newRootCommand() *cobra.Command {
	var g globals
	root := &cobra.Command{
		Use:           "sluice",
		Short:         "Serverless functions on leased slices of accelerators",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return loadState(&g, cmd.Flags()) }
	flags := root.PersistentFlags()
	flags.AddFlagSet(stateFlag(&g))
	flags.StringVar(&g.configFile, "config", os.Getenv(configVariable), "the configuration file ("+configVariable+"; default "+config.FileDefault+" if there is one)")
	flags.StringVar(&g.tenant, "tenant", "", "whose functions and leases; empty for the default tenant")
	root.AddCommand(
		newServeCommand(&g), newImageCommand(&g), newDeployCommand(&g), newFunctionsCommand(&g), newRemoveCommand(&g), newInvokeCommand(),
		newDevicesCommand(&g), newLeasesCommand(&g), newInstancesCommand(&g), newLogsCommand(&g), newRunCommand(&g),
		newTenantsCommand(&g), newConfigCommand(&g), newDrainCommand(&g),
	)
	return root
}

// exitError ends the command with a program's exit code and no message of ours.
type exitError struct{ code int }

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// explain takes the wrapping of gRPC off an error: people read the message, not the transport's.
func explain(err error) string {
	if s, ok := status.FromError(err); ok {
		return s.Message()
	}
	return err.Error()
}
