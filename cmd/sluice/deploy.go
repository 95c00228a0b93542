package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"sluice/proto/gen/control"
)

func newDeployCommand(g *globals) *cobra.Command {
	var file string
	command := &cobra.Command{
		Use:   "deploy -f FUNCTION.YAML",
		Short: "Deploy a function, or a new version of it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usageError{errors.New("give the function's YAML file with -f; - for standard input")}
			}
			text, err := readFileOrStdin(file, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return withControl(cmd.Context(), g, func(ctx context.Context, client control.ControlClient) error {
				response, err := client.Deploy(ctx, &control.DeployRequest{Tenant: g.tenant, FunctionYaml: text})
				if err != nil {
					return callError{"deploying " + file, err}
				}
				f := response.GetFunction()
				fmt.Fprintf(cmd.OutOrStdout(), "deployed %s version %s\n", f.GetName(), f.GetVersion())
				return nil
			})
		},
	}
	command.Flags().StringVarP(&file, "file", "f", "", "the function's YAML file; - for standard input")
	return command
}

func readFileOrStdin(path string, stdin io.Reader) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(path)
}
