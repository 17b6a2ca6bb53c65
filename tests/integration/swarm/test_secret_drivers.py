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


# -- Tasks that read ----------------------------------------------------------

class Image:
    """A root directory with the host's programs, and one to write to."""

    def __init__(self, swarm):
        self.path = swarm.path("image")
        self.out = swarm.path("out")
        os.mkdir(self.out)
        for name in ("proc", "dev", "tmp", "usr", "out", "run/secrets"):
            os.makedirs(os.path.join(self.path, name))
        for name in ("bin", "lib", "lib64"):
            os.symlink("usr/" + name, os.path.join(self.path, name))

    def flags(self):
        return ("--image", self.path, "--read-only",
                "--bind", "/usr:/usr:ro", "--bind", self.out + ":/out")

    def written(self):
        """Contents by name."""
        found = {}
        for name in os.listdir(self.out):
            with open(os.path.join(self.out, name)) as f:
                found[name] = f.read()
        return found


# Moved into its place, so that nobody sees half of it.
READ = ("cp /run/secrets/db /out/.$$ && chmod 644 /out/.$$ && "
        "mv /out/.$$ /out/$(cat /run/secrets/db) && exec sleep 1000")


def read_db(swarm, image, name, *flags):
    swarm.ctl("service", "create", "--detach", "--name", name, "--secret",
              "db", *image.flags(), *flags, "--", "/bin/sh", "-c", READ)


def each_task_reads_its_own_value():
    with PluginSwarm() as swarm, \
            SecretPlugin(swarm.plugins, "vault") as plugin:
        image = Image(swarm)
        plugin.answer = lambda r: {"Value": r["TaskID"].encode(),
                                   "DoNotReuse": True}
        swarm.ctl("secret", "create", "db", "--driver", "vault")
        read_db(swarm, image, "web", "--replicas", "2")
        live = swarm.wait_live("web", 2)
        ids = {t["id"]: t["id"] for t in live}
        wait_for(lambda: image.written() == ids,
                 "both have read theirs: %s" % image.written())
        expect(len(plugin.asked) == 2, plugin.asked)


def tasks_of_a_node_share_a_value_that_is_reused():
    with PluginSwarm() as swarm, \
            SecretPlugin(swarm.plugins, "vault") as plugin:
        image = Image(swarm)
        plugin.answer = lambda r: {"Value": b"value-%d" % len(plugin.asked)}
        swarm.ctl("secret", "create", "db", "--driver", "vault")
        read_db(swarm, image, "web", "--replicas", "3")
        swarm.wait_live("web", 3)
        wait_for(lambda: "value-1" in image.written(), "they have read it")
        expect(len(plugin.asked) == 1, plugin.asked)
        # A node that has no such task asks for itself.
        swarm.ctl("node", "drain", "manager")
        swarm.worker("w1")
        swarm.wait_live("web", 3)
        wait_for(lambda: "value-2" in image.written(), "so they do there")
        expect(len(plugin.asked) == 2, plugin.asked)


def a_task_without_its_value_fails_and_the_next_one_is_asked_for():
    with PluginSwarm() as swarm, \
            SecretPlugin(swarm.plugins, "vault") as plugin:
        image = Image(swarm)
        plugin.answer = lambda r: {"Err": "sealed"}
        swarm.ctl("secret", "create", "db", "--driver", "vault")
        read_db(swarm, image, "web", "--restart-delay", "0.1s")
        wait_for(lambda: [t for t in swarm.tasks("web") if
                          "is not available: the manager has sent no value: "
                          "driver vault gives no secret db: the plugin says: "
                          "sealed" in t.get("status", {}).get("err", "")],
                 "a task fails for lack of it: %s" % swarm.tasks("web"))
        plugin.answer = lambda r: {"Value": b"open"}
        swarm.wait_live("web", 1)
        wait_for(lambda: image.written() == {"open": "open"}, "it reads")


def a_plugin_that_hangs_holds_up_nobody_else():
    with PluginSwarm() as swarm, \
            SecretPlugin(swarm.plugins, "slow") as slow:
        image = Image(swarm)
        slow.delay = 600
        swarm.ctl("secret", "create", "db", "--driver", "slow")
        read_db(swarm, image, "web")
        wait_for(lambda: slow.asked, "it is asked")
        swarm.create("other")
        expect(not swarm.live("web"), "it runs without its value")
        reason = "waits for secret db of driver slow: "
        wait_for(lambda: reason in swarm.ctl("service", "ps", "web").out,
                 "the task says why it waits")


def a_stored_secret_is_read_too_with_its_owner():
    with PluginSwarm() as swarm:
        image = Image(swarm)
        data = swarm.path("data")
        with open(data, "w") as f:
            f.write("stored")
        swarm.ctl("secret", "create", "db", "--file", data)
        read_db(swarm, image, "web", "--user", "0:0")
        swarm.wait_live("web", 1)
        wait_for(lambda: image.written() == {"stored": "stored"}, "it reads")


def a_value_is_on_no_disk_and_in_no_log():
    value = b"nobody-stores-this"
    with PluginSwarm(drained=True) as swarm, \
            SecretPlugin(swarm.plugins, "vault") as plugin:
        image = Image(swarm)
        plugin.answer = lambda r: {"Value": value, "DoNotReuse": True}
        swarm.ctl("secret", "create", "db", "--driver", "vault")
        swarm.worker("w1")
        swarm.worker("w2")
        read_db(swarm, image, "web")
        swarm.wait_live("web", 1)
        wait_for(lambda: image.written(), "it reads")
        for place, _, names in os.walk(swarm.dir):
            for name in names:
                path = os.path.join(place, name)
                if place != image.out and os.path.isfile(path):
                    with open(path, "rb") as f:
                        expect(value not in f.read(), "it is in " + path)


main([a_secret_needs_a_driver_that_is_there,
      a_plugin_may_be_named_by_its_address,
      the_plugin_learns_which_task_wants_what,
      what_goes_wrong_is_logged_without_a_value,
      each_task_reads_its_own_value,
      tasks_of_a_node_share_a_value_that_is_reused,
      a_task_without_its_value_fails_and_the_next_one_is_asked_for,
      a_plugin_that_hangs_holds_up_nobody_else,
      a_stored_secret_is_read_too_with_its_owner,
      a_value_is_on_no_disk_and_in_no_log])
