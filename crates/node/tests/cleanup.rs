//! Unused images go; what a task runs stays, whoever started it. Needs root.

mod world;

use std::time::Duration;

use agent::seams::{Node as _, Remains};
use images::Collected;
use node::ImageCleanup;
use world::*;

/// Whatever may go goes at once.
fn eager() -> ImageCleanup {
    let now = Duration::ZERO;
    ImageCleanup {
        minimum_age: now,
        unused_for: now,
        unused_for_when_full: now,
        full: 0,
        relieved: 0,
        ..Default::default()
    }
}

#[test]
fn no_image_is_taken_from_a_running_task() {
    on_own_host(async {
        let world = World::new().await;
        let task = task("t1", "say before await /stop");
        let launched = world.start(&task, 0).await;
        // Nothing but the task stands for the image any more.
        assert!(world.machine.images().remove(&IMAGE.parse().unwrap()).await.unwrap());
        assert_eq!(world.machine.clean_up(&eager()).await.unwrap(), Collected::default());
        assert_eq!(world.machine.make_room(&eager()).await.unwrap(), Some(Collected::default()));
        drop(launched);

        // The next agent knows it from what the containers' directories say.
        let world = world.restart().await;
        let remains = world.machine.recover(vec![run(&task, 0)], Vec::new()).await.remove(0).1;
        let Remains::Running(launched) = remains else { panic!("it is gone") };
        assert_eq!(world.machine.clean_up(&eager()).await.unwrap(), Collected::default());

        world.machine.kill(&run(&task, 0)).await;
        ended(launched).await;
        world.machine.release(&task).await;
        world.machine.remove(&task).await;
        let removed = world.machine.clean_up(&eager()).await.unwrap();
        assert!(removed.layers == 1 && removed.blobs >= 3, "{removed:?}");
        world.leave().await;
    });
}

#[test]
fn a_disk_with_room_is_left_alone() {
    on_own_host(async {
        let world = World::new().await;
        world.machine.images().remove(&IMAGE.parse().unwrap()).await.unwrap();
        let full = ImageCleanup { full: 101, ..eager() };
        assert_eq!(world.machine.make_room(&full).await.unwrap(), None);
        assert_eq!(world.machine.make_room(&eager()).await.unwrap().unwrap().layers, 1);
        world.leave().await;
    });
}
