"""Pictures of a world and their exact depth, drawn with OpenGL (EGL, no screen needed)."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import cv2
import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.drive import light_shader, shaders
from lircdepth_core.drive.drawables import Drawable, StaticScene
from lircdepth_core.drive.lighting import lighting_of
from lircdepth_core.drive.materials import MATERIALS
from lircdepth_core.drive.opengl import create_context, noise_tile, shadow_map
from lircdepth_core.drive.sensor_effects import add_sensor_effects
from lircdepth_core.drive.views import frustum, packed, sun_view, top_view
from lircdepth_core.drive.world import Thing, World
from lircdepth_core.errors import InputError

_NEAR, _FAR = 0.3, 6000.0
_NOTHING = 1e9
_STILL_SIZE, _STILL_REACH = 4096, 120.0
_MOVING_SIZE, _MOVING_REACH = 2048, 60.0
_HEIGHTS_SIZE, _HEIGHTS_REACH = 512, 64.0
_SNAP = 24.0
_LAMPS_FROM, _LAMPS_TO = 65.0, 95.0
_BEAMS_TO = 80.0


class CameraRenderer:
    """Draws a world; a context manager, since it holds OpenGL objects.

    Args:
        world: what to draw.
        width: of the pictures in pixels.
        height: of the pictures in pixels.

    Raises:
        InputError: no OpenGL can be had; the message names the packages that give it.
    """

    def __init__(self, world: World, width: int, height: int) -> None:
        self._world, self._size = world, (width, height)
        self._light = lighting_of(world.conditions, world.seed)
        self._has_shadows = bool(self._light.sun_light.max() > 0.2)
        self._context = create_context()
        self._make_targets()
        self._make_programs()
        self._static = StaticScene(self._context, self._geometry_programs, world.static)
        drawables: dict[int, Drawable] = {}
        for thing in world.things:
            if id(thing.mesh) not in drawables:
                drawables[id(thing.mesh)] = Drawable(
                    self._context, self._geometry_programs, thing.mesh
                )
        self._drawables = [drawables[id(thing.mesh)] for thing in world.things]
        self._lamp_places = np.array([lamp.position for lamp in world.lamps]).reshape(-1, 3)
        self._centre: np.ndarray | None = None

    def __enter__(self) -> CameraRenderer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free everything."""
        self._context.release()

    def render(
        self,
        camera: Camera,
        world_from_camera: np.ndarray,
        time: float,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """A picture as the camera delivers it, and its depth.

        Args:
            camera: intrinsics; of the renderer's width and height.
            world_from_camera: (4, 4) pose of the optical frame (REP 103).
            time: seconds since the scene's start.
            rng: of the sensor's noise.

        Returns:
            image (H, W, 3) uint8 RGB, and depth (H, W) float32 metres along the optical axis at
            the pixels' centres, +Inf at the sky.

        Raises:
            InputError: the camera's size is not the renderer's.
        """
        image, depth = self.render_clean(camera, world_from_camera, time)
        return add_sensor_effects(image, self._world.conditions, rng), depth

    def render_clean(
        self, camera: Camera, world_from_camera: np.ndarray, time: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same as `render`, without the sensor's effects."""
        if (camera.width, camera.height) != self._size:
            raise InputError(
                f"camera: {camera.width}x{camera.height}, but the renderer draws"
                f" {self._size[0]}x{self._size[1]}; give both the same size"
            )
        poses = np.array([thing.pose(time) for thing in self._world.things]).reshape(-1, 4, 4)
        self._draw_from_above(world_from_camera[:3, 3], poses)
        self._draw_surfaces(camera, world_from_camera, poses)
        self._draw_light(camera, world_from_camera, poses, time)
        return self._read()

    def _make_targets(self) -> None:
        """Textures and framebuffers."""
        context, size = self._context, self._size
        self._surfaces = [
            context.texture(size, 1, dtype="f4"),
            context.texture(size, 4, dtype="f4"),
            context.texture(size, 4, dtype="f2"),
            context.texture(size, 4),
        ]
        for texture in self._surfaces:
            texture.filter = (0x2600, 0x2600)  # GL_NEAREST
        self._surface_target = context.framebuffer(self._surfaces, context.depth_renderbuffer(size))
        self._rough_image, self._image = context.texture(size, 4), context.texture(size, 4)
        kinds = context.depth_renderbuffer(size)
        # Without colours: Mesa takes five times as long where a program leaves them undefined.
        self._sort_target = context.framebuffer([], kinds)
        self._rough_target = context.framebuffer([self._rough_image], kinds)
        self._rough_target.depth_mask = False
        self._image_target = context.framebuffer([self._image])
        self._still_shadow = shadow_map(context, _STILL_SIZE)
        self._moving_shadow = shadow_map(context, _MOVING_SIZE)
        self._still_shadow_target = context.framebuffer([], self._still_shadow)
        self._moving_shadow_target = context.framebuffer([], self._moving_shadow)
        heights_size = (_HEIGHTS_SIZE, _HEIGHTS_SIZE)
        self._still_heights = context.texture(heights_size, 1, dtype="f2")
        self._heights = context.texture(heights_size, 1, dtype="f2")
        # GL_LINEAR_MIPMAP_NEAREST, GL_LINEAR: it is read at whole levels.
        self._heights.filter = (0x2701, 0x2601)
        self._heights.repeat_x = self._heights.repeat_y = False
        self._still_heights_target = context.framebuffer([self._still_heights])
        self._heights_target = context.framebuffer([self._heights])
        self._noise = context.texture((256, 256), 4, noise_tile().tobytes())
        self._noise.build_mipmaps()
        # Mixing two levels shows no visible difference and costs more.
        self._noise.filter = (0x2701, 0x2601)
        table = np.zeros((2, len(MATERIALS), 4), dtype=np.float32)
        for index, material in enumerate(MATERIALS):
            table[0, index] = (*material.colour, material.pattern)
            table[1, index, :3] = material.gloss, material.roughness, material.emission
        self._materials = context.texture((len(MATERIALS), 2), 4, table.tobytes(), dtype="f4")
        self._materials.filter = (0x2600, 0x2600)

    def _make_programs(self) -> None:
        context = self._context
        self._surface_program = context.program(
            vertex_shader=shaders.SURFACE_VERTEX, fragment_shader=shaders.SURFACE_FRAGMENT
        )
        self._above_program = context.program(
            vertex_shader=shaders.ABOVE_VERTEX, fragment_shader=shaders.ABOVE_FRAGMENT
        )
        self._geometry_programs = (self._surface_program, self._above_program)
        corners = context.buffer(np.array([-1, -1, 3, -1, -1, 3], dtype=np.float32).tobytes())

        def cover(fragment: str, kind: int) -> tuple[Any, Any]:
            program = context.program(vertex_shader=shaders.COVER_VERTEX, fragment_shader=fragment)
            program["kind"].value = kind
            return program, context.vertex_array(program, [(corners, "2f", "in_place")])

        self._sort_program, self._sort_cover = cover(shaders.SORT_FRAGMENT, 0)
        self._smooth_program, self._smooth_cover = cover(shaders.SMOOTH_FRAGMENT, 0)
        self._light_programs, self._light_covers = [], []
        for number, kind in enumerate(light_shader.KINDS):
            fragment = light_shader.light_fragment(
                kind,
                shadows=self._has_shadows,
                lamps=self._light.dark > 0,
                wet=self._light.wet > 0,
            )
            program, vertex_array = cover(fragment, number)
            self._light_programs.append(program)
            self._light_covers.append(vertex_array)
        light, rng = self._light, np.random.default_rng([self._world.seed, 78])
        samplers = (
            "depths", "places", "normals", "tints", "materials", "noise", "heights",
            "still_shadow", "moving_shadow",
        )  # fmt: skip
        self._set_light({name: index for index, name in enumerate(samplers)})
        self._set_light(
            {
                "sun": light.sun, "sun_light": light.sun_light, "zenith": light.zenith,
                "horizon": light.horizon, "ground_light": light.ground_light,
                "fog_light": light.fog_light, "extinction": light.extinction,
                "clouds": light.clouds, "dark": light.dark,
                "exposure": light.exposure, "drift": rng.uniform(0, 50),
                "scene_shift": rng.uniform(0, 50, 3),
            }
        )  # fmt: skip

    def _set_light(self, values: dict[str, Any]) -> None:
        """Set uniforms of the light programs that use them."""
        for name, value in values.items():
            for program in (*self._light_programs, self._sort_program):
                if name in program and isinstance(value, np.ndarray):
                    program[name].write(np.ascontiguousarray(value, dtype=np.float32).tobytes())
                elif name in program:
                    program[name].value = value

    def _draw_from_above(self, eye: np.ndarray, poses: np.ndarray) -> None:
        """Shadow maps and the height map about the camera.

        What stands still is drawn when the camera comes into another cell of a grid, so that a
        picture does not depend on those drawn before it.
        """
        context, sun = self._context, self._light.sun
        shadows = self._has_shadows
        centre = np.append((np.floor(eye[:2] / _SNAP) + 0.5) * _SNAP, eye[2])
        centre[2] = np.round(centre[2] / 4) * 4
        still = sun_view(sun, centre, _STILL_REACH)
        heights = top_view(centre, _HEIGHTS_REACH)
        standing = [index for index, thing in enumerate(self._world.things) if not thing.moves]
        moving = [index for index, thing in enumerate(self._world.things) if thing.moves]
        context.disable(context.CULL_FACE)
        if self._centre is None or not np.array_equal(self._centre, centre):
            self._centre = centre
            if shadows:
                self._still_shadow_target.use()
                self._still_shadow_target.clear(depth=1.0)
                context.enable_only(context.DEPTH_TEST)
                self._draw_all_above(still, centre, standing, poses, _STILL_REACH)
            self._still_heights_target.use()
            self._still_heights_target.clear(-1000.0)
            context.enable_only(context.BLEND)
            context.blend_equation = context.MAX
            self._draw_all_above(heights, centre, standing, poses, _HEIGHTS_REACH)
        context.copy_framebuffer(self._heights_target, self._still_heights_target)
        self._heights_target.use()
        context.enable_only(context.BLEND)
        context.blend_equation = context.MAX
        self._draw_things_above(heights, moving, poses, centre, _HEIGHTS_REACH)
        context.blend_equation = context.FUNC_ADD
        self._heights.build_mipmaps()
        near = sun_view(sun, eye, _MOVING_REACH)
        context.enable_only(context.DEPTH_TEST)
        if shadows:
            self._moving_shadow_target.use()
            self._moving_shadow_target.clear(depth=1.0)
            self._draw_things_above(near, moving, poses, eye, _MOVING_REACH)
        to_texture = np.diag([0.5, 0.5, 0.5, 1.0])
        to_texture[:3, 3] = 0.5
        scale = 0.5 / _HEIGHTS_REACH
        self._set_light(
            {
                "still_from_world": (to_texture @ still).T,
                "moving_from_world": (to_texture @ near).T,
                "heights_from_world": np.array(
                    [scale, scale, 0.5 - centre[0] * scale, 0.5 - centre[1] * scale]
                ),
            }
        )

    def _draw_all_above(
        self,
        view: np.ndarray,
        centre: np.ndarray,
        standing: list[int],
        poses: np.ndarray,
        reach: float,
    ) -> None:
        self._above_program["world_from_object"].write(packed(np.eye(4)))
        self._above_program["clip_from_world"].write(packed(view))
        self._static.draw_near(centre, reach * 1.5)
        self._draw_things_above(view, standing, poses, centre, reach)

    def _draw_things_above(
        self,
        view: np.ndarray,
        which: list[int],
        poses: np.ndarray,
        centre: np.ndarray,
        reach: float,
    ) -> None:
        self._above_program["clip_from_world"].write(packed(view))
        for index in which:
            if np.linalg.norm(poses[index, :2, 3] - centre[:2]) < reach * 1.5:
                self._above_program["world_from_object"].write(packed(poses[index]))
                self._drawables[index].draw_above()

    def _draw_surfaces(
        self, camera: Camera, world_from_camera: np.ndarray, poses: np.ndarray
    ) -> None:
        """Depth, place, normal and paint of every pixel."""
        context, program, K = self._context, self._surface_program, camera.K
        width, height = self._size
        eye, turn = world_from_camera[:3, 3], world_from_camera[:3, :3]
        context.enable_only(context.DEPTH_TEST)
        self._surface_target.use()
        self._surface_target.clear(_NOTHING, 0, 0, 0, depth=1.0)
        # Row 0 of the buffers is the image's top row; pixel centres are at integers.
        projection = np.array(
            [
                2 * K[0, 0] / width,
                2 * K[1, 1] / height,
                2 * (K[0, 2] + 0.5) / width - 1,
                2 * (K[1, 2] + 0.5) / height - 1,
            ]
        )
        program["projection"].write(projection.astype(np.float32).tobytes())
        program["clip"].value = (_NEAR, _FAR)
        program["eye"].write(eye.astype(np.float32).tobytes())
        # GLSL's matrices are written column by column: this writes the inverse rotation.
        program["camera_from_world"].write(np.ascontiguousarray(turn, np.float32).tobytes())
        program["world_from_object"].write(packed(np.eye(4)))
        program["number"].value = 0.0
        planes = frustum(camera, world_from_camera)
        self._static.draw_visible(planes)
        for index, drawable in enumerate(self._drawables):
            middle = poses[index, :3, :3] @ drawable.middle + poses[index, :3, 3]
            if (planes[:, :3] @ middle + planes[:, 3] > -drawable.radius).all():
                program["world_from_object"].write(packed(poses[index]))
                # Negative: its lamps are off.
                on = 1.0 if self._world.things[index].moves else -1.0
                program["number"].value = on * (index + 1.0)
                drawable.draw()

    def _draw_light(
        self, camera: Camera, world_from_camera: np.ndarray, poses: np.ndarray, time: float
    ) -> None:
        """The picture from the surfaces' buffers."""
        eye, K = world_from_camera[:3, 3], camera.K
        textures = (
            *self._surfaces, self._materials, self._noise, self._heights,
            self._still_shadow, self._moving_shadow,
        )  # fmt: skip
        for index, texture in enumerate(textures):
            texture.use(index)
        self._set_light(
            {
                "eye": eye,
                "world_from_camera": world_from_camera[:3, :3].T,
                "rays": np.array([1 / K[0, 0], 1 / K[1, 1], K[0, 2], K[1, 2]]),
            }
        )
        if self._light.dark > 0:
            self._set_lamps(eye)
            self._set_beams(eye, poses, time)
        # Depth sorts the pixels by the kind of surface; each program draws those of its kind.
        context = self._context
        context.enable_only(context.DEPTH_TEST)
        self._sort_target.use()
        context.depth_func = "1"
        self._sort_cover.render()
        self._rough_target.use()
        context.depth_func = "=="
        for vertex_array in self._light_covers:
            vertex_array.render()
        context.depth_func = "<"
        context.enable_only(context.NOTHING)
        self._image_target.use()
        self._rough_image.use(0)
        self._smooth_cover.render()

    def _set_lamps(self, eye: np.ndarray) -> None:
        """The street lamps that matter here; those farther off fade out."""
        away = np.linalg.norm(self._lamp_places - eye, axis=1)
        near = np.argsort(away)[: light_shader.MAX_LAMPS]
        near = near[away[near] < _LAMPS_TO]
        places = np.zeros((light_shader.MAX_LAMPS, 4))
        lights = np.zeros((light_shader.MAX_LAMPS, 3))
        for slot, index in enumerate(near):
            lamp = self._world.lamps[index]
            fade = np.clip((_LAMPS_TO - away[index]) / (_LAMPS_TO - _LAMPS_FROM), 0, 1)
            places[slot] = (*lamp.position, lamp.range)
            lights[slot] = np.array(lamp.colour) * 38.0 * self._light.dark * fade
        self._set_light({"lamps": len(near), "lamp_place": places, "lamp_light": lights})

    def _set_beams(self, eye: np.ndarray, poses: np.ndarray, time: float) -> None:
        """Head lamps of the ego vehicle and of the nearest vehicles that drive."""
        sources = [(self._world.ego_pose(time), 3.4)]
        others = [
            (np.linalg.norm(poses[index, :3, 3] - eye), index)
            for index, thing in enumerate(self._world.things)
            if thing.moves and _has_head_lamps(thing)
        ]
        for away, index in sorted(others)[: light_shader.MAX_BEAMS - 1]:
            if away < _BEAMS_TO:
                sources.append((poses[index], self._world.things[index].size[1] / 2))
        places = np.zeros((light_shader.MAX_BEAMS, 4))
        ways = np.zeros((light_shader.MAX_BEAMS, 3))
        for slot, (pose, front) in enumerate(sources):
            places[slot, :3] = (pose @ (front, 0.0, 0.68, 1.0))[:3]
            places[slot, 3] = 60.0 * self._light.dark
            ways[slot] = pose[:3, :3] @ (0.9995, 0.0, -0.03)
        self._set_light({"beams": len(sources), "beam_place": places, "beam_way": ways})

    def _read(self) -> tuple[np.ndarray, np.ndarray]:
        width, height = self._size
        pixels = np.empty((height, width, 4), dtype=np.uint8)
        self._image_target.read_into(pixels, components=4)
        depth = np.empty((height, width), dtype=np.float32)
        self._surface_target.read_into(depth, components=1, attachment=0, dtype="f4")
        depth[depth > _NOTHING / 2] = np.inf
        return cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB), depth


def _has_head_lamps(thing: Thing) -> bool:
    category = thing.category or ""
    return category.startswith("vehicle.") and category not in (
        "vehicle.bicycle",
        "vehicle.trailer",
        "vehicle.construction",
    )
