"""What an installation deploys: block documents, deployments, schedules, an automation. README.md is the runbook."""
