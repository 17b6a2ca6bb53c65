# SPDX-License-Identifier: Apache-2.0

"""Secrets whose values plugins supply."""

import os

from secret_plugin import SecretPlugin
from swarm import Swarm, expect, main, wait_for


class PluginSwarm(Swarm):
    """Its managers look for plugins in swarm.plugins."""

    def start_manager(self):
        self.plugins = self.path("plugins")
        os.mkdir(self.plugins)
        return super().start_manager()

    def daemon(self, program, name, *flags):
        if program == "swarmd":
            flags += ("--plugin-dir", self.plugins)
        return super().daemon(program, name, *flags)


def a_secret_needs_a_driver_that_is_there():
    with PluginSwarm() as swarm:
        swarm.ctl("secret", "create", "db", "--driver", "vault", code=1).says(
            'secret driver "vault" is not available: there is no such plugin')
        swarm.ctl("secret", "create", "db", "--driver", "", code=1).says(
            "secret driver must have a name")
        swarm.ctl("secret", "create", "db", "--driver", "../plugins/vault",
                  code=1).says("not the name of a plugin")
        swarm.ctl("secret", "create", "db", "--driver", "vault", "--file",
                  "/etc/hostname", code=2).says("exclude each other")
        with SecretPlugin(swarm.plugins, "vault"):
            swarm.ctl("secret", "create", "db", "--driver", "vault",
                      "--driver-opt", "path=kv/db", "--label", "team=a")
        swarm.ctl("secret", "ls").says("DRIVER", "vault")
        swarm.ctl("secret", "inspect", "db").says("vault", "path=kv/db",
                                                  "team=a")


def a_plugin_may_be_named_by_its_address():
    with PluginSwarm() as swarm:
        with open(os.path.join(swarm.plugins, "one.spec"), "w") as f:
            f.write("unix://%s\n" % swarm.path("vault.sock"))
        with open(os.path.join(swarm.plugins, "two.json"), "w") as f:
            f.write('{"Name":"two","Addr":"unix://%s"}' %
                    swarm.path("vault.sock"))
        with open(os.path.join(swarm.plugins, "far.spec"), "w") as f:
            f.write("tcp://192.0.2.1:80\n")
        for name in ("one", "two"):
            swarm.ctl("secret", "create", name, "--driver", name)
        swarm.ctl("secret", "create", "far", "--driver", "far", code=1).says(
            "the plugin's address is not unix:///PATH")
        with SecretPlugin(swarm.dir, "vault") as plugin:
            swarm.ctl("service", "create", "--detach", "--name", "web",
                      "--secret", "one", "--secret", "two", "--", "sleep",
                      "1000")
            wait_for(lambda: {r["SecretName"] for r in plugin.asked} ==
                     {"one", "two"}, "the plugin is asked for both")


def the_plugin_learns_which_task_wants_what():
    with PluginSwarm() as swarm, \
            SecretPlugin(swarm.plugins, "vault") as plugin:
        swarm.ctl("secret", "create", "db", "--driver", "vault",
                  "--driver-opt", "path=kv/db", "--label", "team=a")
        swarm.ctl("service", "create", "--detach", "--name", "web",
                  "--secret", "db", "--label", "tier=front", "--", "sleep",
                  "1000")
        wait_for(lambda: plugin.asked, "the plugin is asked")
        request = plugin.asked[0]
        task = next(t for t in swarm.tasks("web")
                    if t["id"] == request["TaskID"])
        expect(request["SecretName"] == "db" and
               request["SecretLabels"] == {"team": "a"} and
               request["DriverOptions"] == {"path": "kv/db"} and
               request["ServiceID"] == task["serviceId"] and
               request["ServiceName"] == "web" and
               request["ServiceLabels"] == {"tier": "front"} and
               request["TaskName"] == "web.1." + task["id"] and
               request["TaskImage"] == "host" and
               request["NodeID"] == task["nodeId"], request)


def what_goes_wrong_is_logged_without_a_value():
    with PluginSwarm() as swarm, \
            SecretPlugin(swarm.plugins, "vault") as plugin, \
            SecretPlugin(swarm.plugins, "disk", "VolumeDriver"):
        def refuse(request):
            return {"Value": b"geheim", "Err": "not today"}

        for name, answer, reason in (
                ("refused", refuse, "the plugin says: not today"),
                ("empty", lambda r: {"Value": b""}, "value is empty"),
                ("large", lambda r: {"Value": 512000 * b"x"}, "too large")):
            plugin.answer = answer
            swarm.ctl("secret", "create", name, "--driver", "vault")
            swarm.ctl("service", "create", "--detach", "--name", name,
                      "--secret", name, "--", "sleep", "1000")
            wait_for(lambda: reason in swarm.manager.text(), reason)
        swarm.ctl("secret", "create", "disk", "--driver", "disk")
        swarm.ctl("service", "create", "--detach", "--name", "disk",
                  "--secret", "disk", "--", "sleep", "1000")
        wait_for(lambda: "the plugin is no secretprovider" in
                 swarm.manager.text(), "another kind of plugin is refused")
        expect("geheim" not in swarm.manager.text(), "a value is logged")


main([a_secret_needs_a_driver_that_is_there,
      a_plugin_may_be_named_by_its_address,
      the_plugin_learns_which_task_wants_what,
      what_goes_wrong_is_logged_without_a_value])
